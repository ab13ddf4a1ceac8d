//! A core for each thread that works, so that what is measured is the work, and not where the system puts threads.
//!
//! A system may well put two threads that have work on one core while the other idles: kernels for virtual machines are told to
//! (`sched_vcpu_pack` on the command line of one that records here were made on), and any may for some milliseconds.

/// Puts the calling process's first thread and the threads of phalanx's pools on cores by their numbers. Those of an executor come
/// after the first thread, which works with them; those of a CPU backend's pool begin with the first core, since who hands them
/// work waits. Those of a GPU's worker have the upper half of the cores together: llvmpipe, a GPU in software, computes on threads that
/// have their maker's name. Pools that are made later are not met, and start where their maker is.
#[cfg(target_os = "linux")]
pub(crate) fn pin_threads() -> Result<(), String> {
    use std::sync::OnceLock;

    use nix::errno::Errno;
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    // What the process had at first: the first thread has one core once this was called.
    static ALLOWED: OnceLock<Option<CpuSet>> = OnceLock::new();

    let failed = |problem: &dyn std::fmt::Display| format!("threads cannot be put on cores: {problem}");
    let first = Pid::this();
    let allowed = ALLOWED.get_or_init(|| sched_getaffinity(first).ok()).ok_or_else(|| failed(&"no cores are known"))?;
    let cores: Vec<usize> = (0..CpuSet::count()).filter(|core| allowed.is_set(*core) == Ok(true)).collect();
    for task in std::fs::read_dir("/proc/self/task").map_err(|error| failed(&error))?.flatten() {
        let thread = task.file_name().to_string_lossy().parse().map(Pid::from_raw);
        let thread = thread.map_err(|error| failed(&error))?;
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let number = |pool: &str| name.trim_end().strip_prefix(pool)?.parse::<usize>().ok();
        let places = if thread == first {
            0..1
        } else if let Some(number) = number("phalanx-exec-") {
            number + 1..number + 2
        } else if let Some(number) = number("phalanx-cpu-") {
            number..number + 1
        } else if name.starts_with("phalanx-gpu") || name.starts_with("llvmpipe-") {
            cores.len() / 2..cores.len()
        } else {
            continue;
        };
        let mut own = CpuSet::new();
        for place in places {
            own.set(cores[place % cores.len()]).map_err(|error| failed(&error))?;
        }
        match sched_setaffinity(thread, &own) {
            // It has ended meanwhile.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    Ok(())
}

/// Nothing where there is no way to ask for a core.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_wraps, reason = "as where there is a way")]
pub(crate) fn pin_threads() -> Result<(), String> {
    Ok(())
}
