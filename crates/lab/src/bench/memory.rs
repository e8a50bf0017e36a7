//! The most memory this process held, where the system says so (Linux). Of a GPU's memory Burn does not say.

/// Forgets the peak so far.
pub fn reset_peak() {
    // Where that is not allowed, the peak is the one since the start: no more is lost than precision.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Bytes held at most since [`reset_peak`].
pub fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
