//! Hot functions that nobody outside calls one by one, for the benches to do just that.

use promql::Value;

use crate::query_data::QueryData;
use crate::respond::Pieces as _;

/// The `data` of a query's answer.
pub fn json(value: Value) -> Vec<u8> {
    let mut data = QueryData::new(value, None);
    let mut out = Vec::new();
    while data.write_next(&mut out) {}
    out
}
