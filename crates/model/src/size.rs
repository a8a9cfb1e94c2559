//! Sizes in bytes as Prometheus writes them: `512MB`, `1.5GiB`, `10B`.
//!
//! Both kinds of unit count in steps of 1024.

const STEP: f64 = 1024.0;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a size such as 10MB")]
pub struct SizeError(String);

/// Bytes; saturates. `0` needs no unit.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let error = || SizeError(text.to_owned());
    if text == "0" {
        return Ok(0);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(error)?;
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| error())?;
    let prefix = unit.strip_suffix("iB").or_else(|| unit.strip_suffix('B')).ok_or_else(error)?;
    let power = match prefix {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        "P" => 5,
        "E" => 6,
        _ => return Err(error()),
    };
    Ok((number * STEP.powi(power)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_count_in_steps_of_1024() {
        #[track_caller]
        fn check(text: &str, expect: u64) {
            assert_eq!(parse(text), Ok(expect), "{text}");
        }
        check("0", 0);
        check("7B", 7);
        check("1KB", 1024);
        check("1.5KiB", 1536);
        check("512MB", 512 << 20);
        check("2GB", 2 << 30);
        check("1TiB", 1 << 40);
        check("1PB", 1 << 50);
        check("1EB", 1 << 60);
        check("99EB", u64::MAX);
    }

    #[test]
    fn what_has_no_unit_or_no_number_is_refused() {
        for text in ["", "10", "MB", "10XB", "-1MB", "1.2.3MB", "10mb", "1 MB", "iB"] {
            assert_eq!(parse(text), Err(SizeError(text.to_owned())));
        }
    }
}
