//! `cargo xtask route [--apart] [ADAPTER]`: what the router makes of the CPU and a GPU, for every size of batch, as a record.
//!
//! A GPU in software has no cores of its own, so that nothing is won where it helps. `--apart` gives it half of the machine's and the
//! CPU the other half.

use crate::process::{cargo, printed};
use crate::record;

/// How much longer than the better backend alone a batch may take.
const MOST: f64 = 1.1;

/// What tells llvmpipe how many threads to have.
const SOFTWARE_THREADS: &str = "LP_NUM_THREADS";

/// The columns of the size, of the ratio, and how many there are.
const ITEMS: usize = 1;
const RATIO: usize = 7;
const COLUMNS: usize = 11;

pub(crate) fn route(arguments: &[String]) -> Result<(), String> {
    let heading = record::heading(
        &["cargo xtask route"].into_iter().chain(arguments.iter().map(String::as_str)).collect::<Vec<_>>().join(" "),
    );
    let is_apart = arguments.iter().any(|argument| argument == "--apart");
    let mut bench = cargo();
    bench.args(["bench", "--quiet", "--package", "phalanx", "--bench", "route", "--"]);
    bench.args(arguments.iter().filter(|argument| *argument != "--apart"));
    if is_apart {
        let half = (std::thread::available_parallelism().map_or(1, usize::from) / 2).max(1).to_string();
        bench.args(["--threads", &half]).env(SOFTWARE_THREADS, &half);
    }
    let lines = printed(&mut bench)?;
    println!("{lines}");
    let slow = check(&lines)?;
    let text = format!(
        "{heading}# medians of interleaved rounds; both: half on each at once; ratio: routed to the better of cpu and gpu, of the same round\n{lines}"
    );
    if is_apart {
        // It is there to show what dividing gains. Small batches have the way to a pool of their own besides.
        return record::write("route-apart", &text);
    }
    record::write("route", &text)?;
    if slow.is_empty() {
        return Ok(());
    }
    Err(format!("routed takes more than {MOST} times the better backend: {}", slow.join("; ")))
}

/// The rows that take too long.
fn check(lines: &str) -> Result<Vec<&str>, String> {
    let rows: Vec<&str> = lines.lines().filter(|line| !line.starts_with('#')).skip(1).collect();
    if rows.is_empty() {
        return Err("nothing was measured".to_owned());
    }
    let mut slow = Vec::new();
    for row in rows {
        let fields: Vec<&str> = row.splitn(COLUMNS, ',').collect();
        let number = |column: usize| fields.get(column).and_then(|field| field.parse::<f64>().ok());
        let (Some(_), Some(ratio)) = (number(ITEMS), number(RATIO)) else { return Err(format!("no row: {row}")) };
        if ratio > MOST {
            slow.push(row);
        }
    }
    Ok(slow)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn rows_that_take_too_long_are_found() {
        let head = "# adapter\nwork,items,rounds,cpu_us,gpu_us,both_us,routed_us,ratio,cpu_items,gpu_items,why\n";
        let row = |ratio: &str| format!("{head}recover,16,31,100,200,150,105,{ratio},16,0,\"kept, a change\"\n");
        assert_eq!(check(&row("1.100")), Ok(vec![]));
        assert_eq!(check(&row("1.101")).map(|slow| slow.len()), Ok(1));
        assert!(check(&row("x")).is_err() && check(head).is_err() && check("").is_err());
    }
}
