use std::time::{Duration, Instant};

use super::Run;
use crate::error::Error;
use crate::process;

/// Memory has settled when two readings this far apart agree to a thousandth.
const PAUSE: Duration = Duration::from_millis(300);
const SETTLE: Duration = Duration::from_secs(6);

pub(super) fn run(run: &mut Run<'_>, path: impl Fn(usize) -> String) -> Result<(), Error> {
    let Some(pid) = run.target.pid else {
        return Ok(());
    };
    let wanted = run.settings.sockets.iter().copied().max().unwrap_or(0);
    let limit = process::raise_descriptors();
    if wanted + 100 > limit {
        return Err(Error::Descriptors { wanted, limit });
    }
    let mut readings = Vec::new();
    for &sockets in &run.settings.sockets {
        let open = run.pool.len();
        run.pool.open((open..sockets).map(&path), None)?;
        let memory = settled(run, pid)?;
        readings.push((sockets as f64, memory));
        let name = format!("  memory with {sockets}");
        run.outcome.note(name, "MB", memory / 1e6);
    }
    run.outcome
        .note("memory per socket, slope", "B", slope(&readings));
    if let [.., (n1, m1), (n2, m2)] = readings[..] {
        let last = (m2 - m1) / (n2 - n1);
        run.outcome.note("  of the last step", "B", last);
    }
    Ok(())
}

fn settled(run: &mut Run<'_>, pid: u32) -> Result<f64, Error> {
    let deadline = Instant::now() + SETTLE;
    let mut last = 0.0;
    loop {
        let end = Instant::now() + PAUSE;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            // Pings are answered meanwhile.
            run.pool.turn(Some(left), |_, _, _, _| {})?;
        }
        let memory = process::memory(pid)? as f64;
        if (memory - last).abs() < memory / 1000.0 || Instant::now() > deadline {
            return Ok(memory);
        }
        last = memory;
    }
}

/// Least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let covariance: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    covariance / variance
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn the_slope_of_a_line_is_its_slope() {
        let line = [(2.0, 105.0), (5.0, 111.0), (19.0, 139.0)];
        assert!((slope(&line) - 2.0).abs() < 1e-9);
    }
}
