//! The functions that a template may call.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;

use crate::Value;
use crate::builtins;

type Function<'a> = Box<dyn Fn(&[Value]) -> Result<Value, String> + 'a>;

/// A table of functions by name: Go's own, and what the caller adds. `and`, `or` and `tmpl` are part
/// of the language and not in the table.
pub struct Functions<'a> {
    table: HashMap<&'static str, (RangeInclusive<usize>, Function<'a>)>,
}

impl<'a> Functions<'a> {
    /// Go's own functions.
    pub fn new() -> Self {
        let mut functions = Self { table: HashMap::new() };
        builtins::add(&mut functions);
        functions
    }

    /// Adds `function`, or replaces the one of that name. It is called with as many arguments as
    /// `arguments` allows.
    pub fn add(
        &mut self,
        name: &'static str,
        arguments: RangeInclusive<usize>,
        function: impl Fn(&[Value]) -> Result<Value, String> + 'a,
    ) {
        self.table.insert(name, (arguments, Box::new(function)));
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    pub(crate) fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, String> {
        let Some((count, function)) = self.table.get(name) else {
            return Err(format!("{name:?} is not a defined function"));
        };
        if !count.contains(&arguments.len()) {
            let (least, most, got) = (count.start(), count.end(), arguments.len());
            let want = if least == most { least.to_string() } else { format!("at least {least}") };
            return Err(format!("wrong number of args for {name}: want {want} got {got}"));
        }
        function(arguments).map_err(|reason| format!("error calling {name}: {reason}"))
    }
}

impl Default for Functions<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Functions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.table.keys()).finish()
    }
}
