//! One exemplar of a request. Its labels are written as those of a series are; beside them both versions
//! of remote write have the same fields.

use model::{Exemplar, Timestamp};

use crate::receive::labels::{InvalidLabels, RawPair, any_labels};
use crate::receive::{v1, v2};
use crate::wire::{Field, Malformed, Reader};

type Read = Result<Result<Exemplar, InvalidLabels>, Malformed>;

pub(super) fn read_v1(message: Reader<'_>) -> Read {
    let mut pairs = Vec::new();
    let (value, timestamp) = walk(message, |label| {
        pairs.push(v1::label(label.message()?)?);
        Ok(())
    })?;
    Ok(exemplar(&pairs, value, timestamp))
}

pub(super) fn read_v2(message: Reader<'_>, symbols: &v2::Symbols<'_>) -> Read {
    let (mut refs, mut pairs) = (Vec::new(), Vec::new());
    let (value, timestamp) =
        walk(message, |labels| labels.varints(|symbol| refs.push(symbol as u32)))?;
    if let Err(why) = symbols.label_pairs(&refs, &mut pairs) {
        return Ok(Err(why));
    }
    Ok(exemplar(&pairs, value, timestamp))
}

fn walk<'a>(
    mut message: Reader<'a>,
    mut labels: impl FnMut(Field<'a>) -> Result<(), Malformed>,
) -> Result<(f64, Timestamp), Malformed> {
    let (mut value, mut timestamp) = (0.0, Timestamp::EPOCH);
    while let Some(field) = message.field()? {
        match field.number {
            1 => labels(field)?,
            2 => value = field.double()?,
            3 => timestamp = Timestamp::from_millis(field.varint()? as i64),
            _ => {}
        }
    }
    Ok((value, timestamp))
}

fn exemplar(
    pairs: &[RawPair<'_>],
    value: f64,
    timestamp: Timestamp,
) -> Result<Exemplar, InvalidLabels> {
    Ok(Exemplar { labels: any_labels(pairs)?, value, timestamp })
}
