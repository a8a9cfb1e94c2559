//! The blocks of a directory, as `promtool tsdb list` prints them.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use tsdb::inspect::{BlockSummary, Blocks};

use super::go_format::{GoDuration, binary_size, go_time};

const HEADER: [&str; 8] = [
    "BLOCK ULID",
    "MIN TIME",
    "MAX TIME",
    "DURATION",
    "NUM SAMPLES",
    "NUM CHUNKS",
    "NUM SERIES",
    "SIZE",
];
const COLUMN_WIDTH_MIN: usize = 13;
const BETWEEN_COLUMNS: usize = 2;

pub(super) fn run(dir: &Path, human_readable: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let blocks = Blocks::list(dir)?;
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(blocks.whole.iter().map(|block| row(block, human_readable)));
    print_table(&rows, out)?;
    if let [(dir, error), rest @ ..] = &blocks.broken[..] {
        out.flush()?;
        bail!("block {}: {error}{}", dir.display(), and_more(rest.len()));
    }
    Ok(())
}

fn and_more(blocks: usize) -> String {
    if blocks == 0 { String::new() } else { format!(" (and {blocks} more)") }
}

fn row(block: &BlockSummary, human_readable: bool) -> [String; 8] {
    let times = [block.start, block.end].map(|at| match human_readable {
        true => go_time(at),
        false => at.as_millis().to_string(),
    });
    let [start, end] = times;
    let millis = block.end.millis_since(block.start).max(0).cast_unsigned();
    [
        block.ulid.clone(),
        start,
        end,
        GoDuration(Duration::from_millis(millis)).to_string(),
        block.samples.to_string(),
        block.chunks.to_string(),
        block.series.to_string(),
        if human_readable { binary_size(block.bytes) } else { block.bytes.to_string() },
    ]
}

/// The last column is as wide as each of its texts.
fn print_table(rows: &[[String; 8]], out: &mut impl Write) -> anyhow::Result<()> {
    let width = |column: usize| {
        let longest = rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        (longest + BETWEEN_COLUMNS).max(COLUMN_WIDTH_MIN)
    };
    let widths: [usize; 8] = std::array::from_fn(width);
    for row in rows {
        let (last, cells) = row.split_last().expect("a row has columns");
        for (cell, width) in cells.iter().zip(widths) {
            write!(out, "{cell:width$}")?;
        }
        writeln!(out, "{last}")?;
    }
    Ok(())
}
