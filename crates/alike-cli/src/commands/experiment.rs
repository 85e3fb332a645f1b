//! `alike experiment`: each run is a process of its own, so that its memory is its own and a crash is not
//! ours.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use alike::checkpoint::wait_until_free;
use alike::device::{DeviceName, open_all};
use alike::experiment::{Job, Outcome as Results, Scheduler, Usage};
use wait4::Wait4;

use crate::args::Experiment;
use crate::destination;
use crate::failure::{Failure, Outcome};
use crate::output::{self, Table, bytes, grouped};
use crate::progress::ExperimentProgress;
use crate::report::experiment::Charts;
use crate::{report, results_file, stop};

/// How often the runs' logs are looked at, and whether to stop.
const LOOK: Duration = Duration::from_millis(200);
/// How long a run waits for one in the same folder that is still ending: that of an experiment that was
/// killed.
const ENDING: Duration = Duration::from_secs(10);

/// Runs what is missing, then writes results and report.
pub(crate) fn run(args: &Experiment, threads: Option<u16>, quiet: bool) -> Outcome {
    let name = args.file.as_ref().map_or("comparison".as_ref(), |file| file.file_stem().unwrap_or_default());
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(name));
    open_all(&args.device)?;
    let experiment = match &args.file {
        Some(file) => alike::experiment::Experiment::read(file)?,
        None => alike::experiment::Experiment::of_defaults(&args.data, &args.models, u64::from(args.seeds))?,
    };
    let beside = args.file.as_ref().and_then(|file| file.parent().map(Path::to_path_buf));
    let root = args.root.clone().or(beside).unwrap_or_default();
    let out = destination::experiment(&out)?;
    let stop = stop::flag("the same command goes on from there", stop::LONG);
    let mut scheduler = Scheduler::new(experiment, &root, &out, &mut |data| {
        if !quiet {
            eprintln!(
                "{:<12} {} users, {} items, {} train interactions",
                data.name,
                grouped(data.users.len()),
                grouped(data.items.len()),
                grouped(data.train.nnz())
            );
        }
    })?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.map_or(cores, usize::from);
    let jobs = usize::from(args.jobs);
    if args.dry_run {
        return plan(&mut scheduler, jobs);
    }
    destination::mark_experiment(&out)?;
    let mut interrupted = false;
    if !args.report {
        let pool = RunPool { threads: (threads / jobs).max(1), jobs, devices: args.device.clone() };
        interrupted = work(&mut scheduler, &pool, stop, quiet)?;
    }
    let results = scheduler.outcome()?;
    let page = write(&scheduler, &results, &out)?;
    if !quiet {
        table(&scheduler, &results)?;
        output::line(format!("\nreport: {}", page.display()))?;
    }
    let (_, counts) = scheduler.ready()?;
    if interrupted {
        let text = "interrupted; the same command goes on from there";
        return Err(Failure::Interrupted(format!(
            "{} of {} runs are done: {text}",
            counts.done, counts.total
        )));
    }
    match counts.failed {
        0 => Ok(()),
        n => Err(Failure::Failed(format!("{n} of {} runs failed; the report says why", counts.total))),
    }
}

/// What would be run.
fn plan(scheduler: &mut Scheduler, jobs: usize) -> Outcome {
    let memory = scheduler.memory_bytes()?;
    let (ready, counts) = scheduler.ready()?;
    let mut table = Table::new(&["data", "model", "seed", "settings"]);
    for job in &ready {
        table.row(vec![job.data.clone(), job.entry.clone(), job.seed.to_string(), job.what.clone()]);
    }
    output::write(&table.render())?;
    output::line(format!(
        "\n{} runs in all, {} done, {} can start now; about {} of memory",
        counts.total,
        counts.done,
        ready.len(),
        bytes(memory * jobs as u64)
    ))
}

/// How runs share the machine.
struct RunPool {
    threads: usize,
    jobs: usize,
    devices: Vec<DeviceName>,
}

/// A run that is being trained.
struct Running {
    job: Job,
    /// Closing it asks the run to save and stop; the system closes it too when this process dies.
    input: Option<ChildStdin>,
}

/// How a run ended: its folder, and its peak memory or what it said last.
type Ended = (PathBuf, Result<u64, String>);

/// Runs everything that is missing; says whether it was interrupted.
fn work(scheduler: &mut Scheduler, pool: &RunPool, stop: &AtomicBool, quiet: bool) -> Outcome<bool> {
    let (sender, ended) = channel::<Ended>();
    let mut running: HashMap<PathBuf, Running> = HashMap::new();
    let mut whole = ExperimentProgress::new(quiet);
    let mut changed = true;
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        if changed {
            let (ready, counts) = scheduler.ready()?;
            whole.show_counts(&counts);
            let free = if stopping { 0 } else { pool.jobs - running.len() };
            for job in ready.into_iter().take(free) {
                let (child, input) = start(&job, pool)?;
                whole.started(&job);
                scheduler.started(&job);
                listen(child, job.run.clone(), sender.clone());
                running.insert(job.run.clone(), Running { job, input });
            }
            changed = false;
        }
        if running.is_empty() {
            return Ok(stopping);
        }
        match ended.recv_timeout(LOOK) {
            Ok((run, result)) => {
                changed = true;
                let Running { job, .. } = running.remove(&run).expect("only running runs end");
                whole.ended(&job, result.as_ref().err().map(String::as_str));
                match result {
                    Ok(peak_memory_bytes) => {
                        Usage { peak_memory_bytes, threads: pool.threads, jobs: pool.jobs }.keep(&run)?;
                        scheduler.ended(&job, Ok(()))?;
                    }
                    // It stopped because it was asked to.
                    Err(_) if stop.load(Ordering::Relaxed) => {}
                    Err(why) => scheduler.ended(&job, Err(why))?,
                }
            }
            Err(_) if stop.load(Ordering::Relaxed) => running.values_mut().for_each(|r| r.input = None),
            Err(_) => running.values().for_each(|r| whole.look(&r.job)),
        }
    }
}

/// Starts a run as a process of this program.
fn start(job: &Job, pool: &RunPool) -> Outcome<(Child, Option<ChildStdin>)> {
    let problem = |e: std::io::Error| Failure::Failed(format!("cannot start a run: {e}"));
    if job.run.is_dir() {
        // If another holds it for longer, the run says so.
        let _ = wait_until_free(&job.run, ENDING);
    }
    let mut command = crate::this_program().map_err(problem)?;
    command.args(["train", &job.model, "--quiet", "--no-test", "--stop-with-input"]);
    command.arg("--data").arg(&job.data_dir).arg("--out").arg(&job.run);
    command.args(["--seed", &job.seed.to_string(), "--threads", &pool.threads.to_string()]);
    if job.run.join("run.json").is_file() {
        command.arg("--resume");
    }
    for device in &pool.devices {
        command.args(["--device", &device.to_string()]);
    }
    for (name, value) in &job.settings {
        command.args(["--set", &format!("{name}={value}")]);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(problem)?;
    let input = child.stdin.take();
    Ok((child, input))
}

/// Waits for a run in a thread of its own.
fn listen(mut child: Child, run: PathBuf, sender: Sender<Ended>) {
    thread::spawn(move || {
        let mut said = String::new();
        if let Some(mut errors) = child.stderr.take() {
            // What cannot be read is not shown; the exit code counts.
            let _ = errors.read_to_string(&mut said);
        }
        let result = match child.wait4() {
            Ok(end) if end.status.success() => Ok(end.rusage.maxrss),
            Ok(end) => Err(said.lines().last().map_or_else(|| end.status.to_string(), reason)),
            Err(e) => Err(e.to_string()),
        };
        // The receiver exists as long as runs are awaited.
        let _ = sender.send((run, result));
    });
}

fn reason(line: &str) -> String {
    line.strip_prefix("error: ").unwrap_or(line).to_string()
}

/// Writes the tables, the charts and the page; returns the page's place.
fn write(scheduler: &Scheduler, results: &Results, out: &Path) -> Outcome<PathBuf> {
    std::fs::create_dir_all(out).map_err(|e| Failure::io(out, &e))?;
    results_file::write(results, &out.join("results.csv"), &out.join("results.parquet"))?;
    let tables = report::experiment::latex(&scheduler.experiment, results);
    output::whole_file(&out.join("tables.tex"), tables.as_bytes())?;
    let charts = Charts::draw(&scheduler.experiment, results);
    for chart in charts.iter() {
        output::whole_file(&out.join(format!("{}.svg", chart.file)), chart.standalone().as_bytes())?;
    }
    let page = out.join("report.html");
    output::whole_file(&page, report::experiment::html(&scheduler.experiment, results, &charts).as_bytes())?;
    Ok(page)
}

/// The chosen runs on the test split.
fn table(scheduler: &Scheduler, results: &Results) -> Outcome {
    let metrics = &scheduler.experiment.metrics;
    for set in &results.data {
        let mut head = vec![set.name.as_str(), "seeds", "valid R@20"];
        head.extend(metrics.iter().map(String::as_str));
        let mut table = Table::new(&head);
        for entry in &set.entries {
            let mut row = vec![entry.name.clone(), entry.runs.len().to_string()];
            row.push(entry.valid().map_or_else(|| "–".into(), |v| format!("{v:.4}")));
            row.extend(metrics.iter().map(|m| match entry.cell(m) {
                Some((mean, sd)) if sd.is_finite() => format!("{mean:.4} ± {sd:.4}"),
                Some((mean, _)) => format!("{mean:.4}"),
                None => "–".to_string(),
            }));
            table.row(row);
        }
        output::write(&table.render())?;
        output::line("")?;
    }
    output::line(
        "test split, public protocol; mean ± standard deviation over seeds; settings chosen on validation",
    )
}
