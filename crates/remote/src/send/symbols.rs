//! The texts of a destination's labels, each kept once and known by a number.
//!
//! - SYMBOLS-1: a symbol names one text for as long as anything that was named at the last
//!   [`Table::keep`] or made since has it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

/// Shared by the reader of the log, which adds to it, and the writer of messages.
pub(super) type Symbols = Arc<RwLock<Table>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Symbol(u32);

impl Symbol {
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug, Default)]
pub(super) struct Table {
    /// By symbol; those that are free have the empty text.
    texts: Vec<Arc<str>>,
    by_text: HashMap<Arc<str>, Symbol>,
    free: Vec<Symbol>,
}

impl Table {
    pub(super) fn intern(&mut self, text: &str) -> Symbol {
        if let Some(known) = self.find(text) {
            return known;
        }
        let shared: Arc<str> = text.into();
        let symbol = match self.free.pop() {
            Some(free) => {
                self.texts[free.index()] = Arc::clone(&shared);
                free
            }
            None => {
                let next =
                    u32::try_from(self.texts.len()).expect("memory ends before 2^32 texts do");
                self.texts.push(Arc::clone(&shared));
                Symbol(next)
            }
        };
        self.by_text.insert(shared, symbol);
        symbol
    }

    pub(super) fn find(&self, text: &str) -> Option<Symbol> {
        self.by_text.get(text).copied()
    }

    pub(super) fn text(&self, symbol: Symbol) -> &str {
        &self.texts[symbol.index()]
    }

    /// Symbols are below this.
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Forgets the texts of all other symbols.
    pub(super) fn keep(&mut self, used: impl Iterator<Item = Symbol>) {
        let mut is_used = vec![false; self.texts.len()];
        used.for_each(|symbol| is_used[symbol.index()] = true);
        let free = &mut self.free;
        self.by_text.retain(|_, symbol| {
            let stays = is_used[symbol.index()];
            if !stays {
                free.push(*symbol);
            }
            stays
        });
        for symbol in &self.free {
            self.texts[symbol.index()] = Arc::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_symbol_until_it_is_no_longer_used() {
        let mut table = Table::default();
        let [a, b] = ["a", "b"].map(|text| table.intern(text));
        assert_eq!((table.intern("a"), table.intern("b")), (a, b));
        table.keep([b].into_iter());
        let c = table.intern("c");
        assert_eq!((c, table.len()), (a, 2), "the place is taken again");
        assert_eq!((table.text(b), table.text(c)), ("b", "c"));
        assert_eq!(table.intern("b"), b);
        let again = table.intern("a");
        assert_eq!((again.index(), table.text(again)), (2, "a"));
    }
}
