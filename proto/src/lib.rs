//! The messages of the wire formats, as prost types.
//!
//! The schemas are the `.proto` files beside `src/`; the types follow them field by field, as
//! `prost-build` would write them (which needs a `protoc` that a build machine may lack).
//! PROTO-1: each type has exactly the fields of its schema, checked by the test below.
//!
//! Hot paths do not build these types: `remote` reads and writes the bytes themselves, and is tested
//! against them.

pub mod v1;
pub mod v2;

#[cfg(test)]
mod tests;
