//! Times, durations and sizes as Go programs print them.

use std::fmt;
use std::time::Duration;

use model::Timestamp;

/// `1h5m0.001s`, to the millisecond.
pub(super) struct GoDuration(pub(super) Duration);

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all_seconds, millis) = (self.0.as_secs(), self.0.subsec_millis());
        if all_seconds == 0 && millis > 0 {
            return write!(f, "{millis}ms");
        }
        let (hours, minutes) = (all_seconds / 3600, all_seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if all_seconds >= 60 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}", all_seconds % 60)?;
        if millis > 0 {
            write!(f, ".{}", format!("{millis:03}").trim_end_matches('0'))?;
        }
        f.write_str("s")
    }
}

/// `2023-11-14 22:13:20 +0000 UTC`, to the second.
pub(super) fn go_time(at: Timestamp) -> String {
    match jiff::Timestamp::from_second(at.as_millis().div_euclid(1000)) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
        Err(_) => at.as_millis().to_string(),
    }
}

/// `7KiB183B`.
pub(super) fn binary_size(bytes: u64) -> String {
    let mut text = String::new();
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)] {
        let part = if unit == "GiB" { bytes >> shift } else { bytes >> shift & 1023 };
        if part > 0 {
            text += &format!("{part}{unit}");
        }
    }
    if text.is_empty() { "0B".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_printed_as_go_prints_them() {
        #[track_caller]
        fn duration(millis: u64, expect: &str) {
            assert_eq!(GoDuration(Duration::from_millis(millis)).to_string(), expect);
        }
        duration(0, "0s");
        duration(20, "20ms");
        duration(1500, "1.5s");
        duration(60_000, "1m0s");
        duration(7_200_000, "2h0m0s");
        duration(3_900_001, "1h5m0.001s");
        assert_eq!(
            [0, 183, 1024, 7351, 3 << 40].map(binary_size),
            ["0B", "183B", "1KiB", "7KiB183B", "3072GiB"]
        );
        assert_eq!(
            go_time(Timestamp::from_millis(1_700_000_000_001)),
            "2023-11-14 22:13:20 +0000 UTC"
        );
    }
}
