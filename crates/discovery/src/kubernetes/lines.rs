//! The lines of an answer that goes on and on, each of bounded length.

use bytes::{Bytes, BytesMut};
use client::Response;

use super::server::ApiError;

pub(super) struct Lines {
    response: Response,
    buffer: BytesMut,
    /// Where in the buffer to look for the end of a line: there is none before.
    searched: usize,
    bytes_max: usize,
}

impl Lines {
    pub(super) fn new(response: Response, bytes_max: usize) -> Self {
        Self { response, buffer: BytesMut::new(), searched: 0, bytes_max }
    }

    /// The next line, or `None` where the answer has ended. A last line without an end was cut off:
    /// it is none. May be given up while it waits, and asked again.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            let end = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
            if let Some(end) = end {
                let mut line = self.buffer.split_to(self.searched + end + 1);
                line.truncate(line.len() - 1);
                self.searched = 0;
                if !line.is_empty() {
                    return Ok(Some(line.freeze()));
                }
                continue;
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > self.bytes_max {
                return Err(ApiError::Line(self.bytes_max));
            }
            match self.response.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}
