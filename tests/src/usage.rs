//! What a process uses of the machine.

use std::time::Duration;

/// The memory that a process has in use, resident, in bytes.
///
/// # Panics
/// If it is gone.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = read(pid, "status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).expect("the process runs");
    kib.trim().parse::<u64>().expect("a number") * 1024
}

/// The processor time that a process has used.
///
/// # Panics
/// If it is gone.
pub fn cpu_time(pid: u32) -> Duration {
    let stat = read(pid, "stat");
    // After the name, which may contain spaces: state is field 3, user and system time 14 and 15.
    let (_, fields) = stat.rsplit_once(") ").expect("the process runs");
    let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("a number"));
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

fn read(pid: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
}
