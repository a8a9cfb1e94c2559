//! Dates, for the functions that take them apart. UTC, proleptic Gregorian calendar.
//!
//! Source of the arithmetic: Howard Hinnant, `chrono`-compatible low-level date algorithms.

use super::{Evaluated, Evaluation, Grid, Series};
use crate::eval::column::Column;

const DAY: i64 = 86_400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i64,
    /// 1 to 12
    pub(crate) month: i64,
    /// 1 to 31
    pub(crate) day: i64,
    /// 0 is Sunday.
    pub(crate) weekday: i64,
    /// 1 to 366
    pub(crate) day_of_year: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
}

impl Date {
    pub(crate) fn from_unix_seconds(seconds: impl Into<i128>) -> Self {
        let (seconds, day) = (seconds.into(), i128::from(DAY));
        let (days, of_day) = (seconds.div_euclid(day) as i64, seconds.rem_euclid(day) as i64);
        // Years that begin in March have the leap day at their end.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let before: i64 = (1..month).map(|month| days_in_month(year, month)).sum();
        Self {
            year,
            month,
            day,
            weekday: (days + 4).rem_euclid(7),
            day_of_year: before + day,
            hour: of_day / 3600,
            minute: of_day % 3600 / 60,
            second: of_day % 60,
        }
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// As Go converts and counts them on the machines that Prometheus mostly runs on: what 64 bits do not
/// hold is the smallest number, and times before its first year are very late ones.
fn whole_seconds(seconds: f64) -> i128 {
    const FIRST: i128 = -9_223_371_966_579_724_800;
    let is_held = seconds >= i64::MIN as f64 && seconds < i64::MAX as f64;
    let whole = i128::from(if is_held { seconds as i64 } else { i64::MIN });
    if whole < FIRST { whole + (1 << 64) } else { whole }
}

/// What the function `name` takes out of a date, given in seconds since the epoch.
pub(super) fn part(name: &str) -> Option<fn(f64) -> f64> {
    fn date(seconds: f64) -> Date {
        Date::from_unix_seconds(whole_seconds(seconds))
    }
    Some(match name {
        "day_of_month" => |seconds| date(seconds).day as f64,
        "day_of_week" => |seconds| date(seconds).weekday as f64,
        "day_of_year" => |seconds| date(seconds).day_of_year as f64,
        "days_in_month" => |seconds| {
            let date = date(seconds);
            days_in_month(date.year, date.month) as f64
        },
        "hour" => |seconds| date(seconds).hour as f64,
        "minute" => |seconds| date(seconds).minute as f64,
        "month" => |seconds| date(seconds).month as f64,
        "year" => |seconds| date(seconds).year as f64,
        _ => return None,
    })
}

impl Evaluation<'_> {
    /// `hour()` and its like: of the time of evaluation.
    pub(super) fn date_of_now(&self, name: &str, grid: &Grid) -> Evaluated<Vec<Series>> {
        let part = part(name).expect("the caller has looked it up");
        self.check_room(grid.count)?;
        let values = grid.times().map(|time| part(time.div_euclid(1000) as f64)).collect();
        self.kept(Series { column: Column::of_floats(values), ..Series::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_beyond_64_bits_are_one_and_the_same() {
        let year = part("year").expect("it is one");
        for seconds in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e30, -1e19] {
            assert_eq!(year(seconds), 292_277_026_596.0, "{seconds}");
        }
        assert_eq!(year(-1.9), 1969.0);
        assert_eq!(part("hour").expect("it is one")(f64::NAN), 15.0);
    }

    #[test]
    fn seconds_become_dates() {
        #[track_caller]
        fn check(seconds: i64, date: [i64; 6], weekday: i64, day_of_year: i64) {
            let [year, month, day, hour, minute, second] = date;
            let expect = Date { year, month, day, weekday, day_of_year, hour, minute, second };
            assert_eq!(Date::from_unix_seconds(seconds), expect);
        }
        check(0, [1970, 1, 1, 0, 0, 0], 4, 1);
        check(951_782_400, [2000, 2, 29, 0, 0, 0], 2, 60);
        check(1_136_239_445, [2006, 1, 2, 22, 4, 5], 1, 2);
        check(1_230_768_000 - 1, [2008, 12, 31, 23, 59, 59], 3, 366);
        check(-1, [1969, 12, 31, 23, 59, 59], 3, 365);
        check(-62_135_596_800, [1, 1, 1, 0, 0, 0], 1, 1);
    }
}
