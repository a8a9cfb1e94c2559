//! What the demo shows: lines that stay, and below them a block of text that is kept current.

use std::io::{self, IsTerminal, Write};

#[derive(Debug)]
pub(crate) struct Screen {
    /// Only a terminal can take back what was printed.
    is_terminal: bool,
    block: String,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self { is_terminal: io::stdout().is_terminal(), block: String::new() }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Prints a line that stays.
    pub(crate) fn say(&mut self, line: &str) {
        let block = std::mem::take(&mut self.block);
        self.print(&format!("{}{line}\n{block}", erase(&block)));
        self.block = block;
    }

    /// Replaces the block. Without a terminal there is none: say what matters instead.
    pub(crate) fn show(&mut self, block: &str) {
        if self.is_terminal {
            let block = cut(block, terminal_columns());
            self.print(&format!("{}{block}", erase(&self.block)));
            self.block = block;
        }
    }

    /// Leaves the block where it stands, and goes on below.
    pub(crate) fn keep(&mut self) {
        self.block.clear();
    }

    fn print(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        // A reader that went away, as `| head` does, must not end the demo.
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    }
}

fn terminal_columns() -> usize {
    rustix::termios::tcgetwinsize(io::stdout()).map_or(80, |size| usize::from(size.ws_col))
}

/// Cuts each line: one that wraps takes more lines than [`erase`] knows of.
fn cut(block: &str, columns: usize) -> String {
    block.lines().flat_map(|line| line.chars().take(columns).chain(['\n'])).collect()
}

/// Moves the cursor to the block's start and clears from there.
fn erase(block: &str) -> String {
    match block.lines().count() {
        0 => String::new(),
        lines => format!("\x1b[{lines}A\x1b[J"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_cut_to_the_terminals_width_and_erased_by_its_lines() {
        assert_eq!(cut("✓ one\n\nlonger", 5), "✓ one\n\nlonge\n");
        assert_eq!(erase(&cut("a\nb\n", 80)), "\x1b[2A\x1b[J");
        assert_eq!(erase(""), "");
    }
}
