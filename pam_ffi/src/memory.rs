//! Memory that is free is given back to the system.
//!
//! The C library keeps what a login freed for the next allocations. A process that then waits for days has
//! none to make.

/// Gives back what is free. Takes some ten microseconds.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no arguments beyond a number of bytes to keep; it touches only memory that is free, under the
    // allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    /// In KiB.
    fn resident() -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let number = line.unwrap().trim().trim_end_matches(" kB");
        number.parse().unwrap()
    }

    #[test]
    #[cfg(target_env = "gnu")]
    #[cfg_attr(miri, ignore = "Miri has an allocator of its own")]
    fn what_was_freed_is_not_kept() {
        // Small pieces, and one behind them that stays: the allocator gives nothing of these back by itself.
        let pieces: Vec<Vec<u8>> = (0..1000).map(|_| vec![1; 16 * 1024]).collect();
        let last = vec![1_u8; 16 * 1024];
        drop(pieces);
        let before = resident();
        super::give_back();
        let after = resident();
        assert!(after + 8 * 1024 < before, "{before} KiB, then {after} KiB");
        assert_eq!(last.len(), 16 * 1024);
    }
}
