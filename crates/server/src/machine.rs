//! What this machine, or the container that the process runs in, has.

use std::fs;

/// A query's share of the memory, where no flag says how much it may take.
const QUERY_SHARE: u64 = 4;
/// Where nobody tells how much memory there is.
const MEMORY_BYTES: u64 = 4 << 30;

/// What one query may take: so much that it takes no more than a part of what there is, whatever it asks.
pub(crate) fn query_memory_bytes() -> usize {
    let bytes = memory_bytes().unwrap_or(MEMORY_BYTES) / QUERY_SHARE;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The smallest of what the machine has and what the process is granted.
fn memory_bytes() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| total(&text));
    let groups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let granted = groups.into_iter().filter_map(read).filter_map(|text| text.trim().parse().ok());
    machine.into_iter().chain(granted).min()
}

/// `MemTotal` of `/proc/meminfo`, which is in kibibytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_from_meminfo() {
        let text = "MemTotal:        8000000 kB\nMemFree:          100 kB\n";
        assert_eq!(total(text), Some(8_192_000_000));
        for text in ["", "MemTotal: 5", "MemTotal: x kB", "MemTotal: 99999999999999999 kB"] {
            assert_eq!(total(text), None, "{text}");
        }
    }

    #[test]
    fn there_is_memory_for_queries() {
        assert!(query_memory_bytes() > 64 << 20);
    }
}
