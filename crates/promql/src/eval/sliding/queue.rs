//! A window that slides over items and always knows what they combine to, without ever taking one
//! back out.
//!
//! ```text
//!       start         middle         end
//!  ───────[─────────────|─────────────)───────
//!          ◄─ suffixes ─►─── back ───►
//! ```
//! Up to the middle it is known what each item combines to with those after it; behind, what all
//! combine to. When the start passes the middle, the middle moves to the end and the suffixes are made
//! anew: two combinations for each item in all.

use std::ops::Range;

pub(super) trait Combine {
    /// Of two parts of a window, `self` is the earlier.
    #[must_use]
    fn combine(self, later: Self) -> Self;
}

pub(super) struct Queue<T> {
    /// The last is that of all items from `start` to the middle.
    suffixes: Vec<T>,
    middle: usize,
    end: usize,
    back: Option<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { suffixes: Vec::new(), middle: 0, end: 0, back: None }
    }
}

impl<T: Combine + Copy> Queue<T> {
    /// Moves on to `window`, whose ends are not before those of the window before; gives what its items
    /// combine to.
    pub(super) fn slide(&mut self, window: Range<usize>, item: impl Fn(usize) -> T) -> Option<T> {
        if window.start >= self.middle {
            self.suffixes.clear();
            for at in window.clone().rev() {
                let item = item(at);
                self.suffixes.push(match self.suffixes.last() {
                    Some(&after) => item.combine(after),
                    None => item,
                });
            }
            (self.middle, self.end, self.back) = (window.end, window.end, None);
        }
        self.suffixes.truncate(self.middle - window.start.min(self.middle));
        for at in self.end..window.end {
            let item = item(at);
            self.back = Some(match self.back {
                Some(before) => before.combine(item),
                None => item,
            });
        }
        self.end = window.end;
        match (self.suffixes.last(), self.back) {
            (Some(&front), Some(back)) => Some(front.combine(back)),
            (front, back) => front.copied().or(back),
        }
    }
}
