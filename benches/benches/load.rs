//! Files in and out: `lineitem` of TPC-H as CSV, NDJSON and Parquet into a durable
//! table and out of it, beside DuckDB doing the same, and Polars reading into memory.
//!
//! `cargo xtask bench load`; or `cargo bench -p sheaf-benches --bench load --` and then
//! `--sf N` for another scale factor, `--large` for a CSV file of 10 GB.

use std::fs;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use sheaf_benches::{Failure, Outcome, Report, Task, answer};
use sheaf_tpch::compare::venv;
use sheaf_tpch::{Benchmark, folders, generate, load};
use sheafdb::Database;

const RUNS: usize = 3;
const FORMATS: [&str; 3] = ["csv", "ndjson", "parquet"];
const LARGE_BYTES: u64 = 10_000_000_000;
/// Tells whether all columns of all rows are right, in every engine's SQL.
const CHECK: &str = "SELECT CAST(count(*) AS VARCHAR), CAST(sum(l_orderkey) AS VARCHAR), \
    CAST(sum(l_partkey + l_suppkey + l_linenumber) AS VARCHAR), \
    CAST(sum(l_quantity) AS VARCHAR), CAST(sum(l_extendedprice) AS VARCHAR), \
    CAST(sum(l_discount + l_tax) AS VARCHAR), CAST(min(l_shipdate) AS VARCHAR), \
    CAST(max(l_receiptdate) AS VARCHAR), CAST(count(DISTINCT l_commitdate) AS VARCHAR), \
    CAST(count(DISTINCT l_returnflag || l_linestatus || l_shipinstruct || l_shipmode) AS VARCHAR), \
    CAST(sum(length(l_comment)) AS VARCHAR), max(l_comment) FROM lineitem";

fn main() -> Result<(), Failure> {
    if let Some(task) = Task::of_this_process()? {
        return work(&task);
    }
    let arguments: Vec<String> = std::env::args().collect();
    let sf = match arguments.iter().position(|argument| argument == "--sf") {
        Some(at) => arguments.get(at + 1).ok_or("--sf needs a number")?.parse()?,
        None => 1.0,
    };
    let bench = Bench::new(sf)?;
    if arguments.iter().any(|argument| argument == "--large") {
        return bench.large();
    }
    bench.run()
}

/// What all tasks have in common.
struct Bench {
    sf: f64,
    files: PathBuf,
    databases: tempfile::TempDir,
    threads: usize,
    create: String,
    python: PathBuf,
}

impl Bench {
    /// Makes the files that are not there yet.
    fn new(sf: f64) -> Result<Self, Failure> {
        let threads = std::thread::available_parallelism()?.get();
        let data = folders::data(Benchmark::Tpch, sf)?;
        generate::generate(Benchmark::Tpch, sf, &data, threads)?;
        let sources = load::sources(Benchmark::Tpch, sf, &data, false)?;
        let source = sources.into_iter().find(|source| source.name == "lineitem");
        let source = source.ok_or("TPC-H has lineitem")?;
        let files = folders::root()?.join("files").join(folders::label(Benchmark::Tpch, sf));
        fs::create_dir_all(&files)?;
        let databases = tempfile::tempdir_in(folders::root()?)?;
        let session = Database::in_memory()?.session();
        for format in FORMATS {
            let file = files.join(format!("lineitem.{format}"));
            if !file.exists() {
                let parts: Vec<String> =
                    source.files.iter().map(|part| format!("'{}'", part.display())).collect();
                session.execute_blocking(&format!(
                    "COPY (FROM read_parquet([{}])) TO '{}'",
                    parts.join(", "),
                    file.display()
                ))?;
            }
        }
        Ok(Self { sf, files, databases, threads, create: source.create, python: venv::peers()? })
    }

    fn run(&self) -> Result<(), Failure> {
        let mut report = Report::new("load");
        println!("lineitem at SF{}, {} threads, best of {RUNS}", self.sf, self.threads);
        for format in FORMATS {
            let file = self.files.join(format!("lineitem.{format}"));
            self.beside(&mut report, "load", format, &["duckdb", "polars"], |_, _| file.clone())?;
        }
        for format in FORMATS {
            self.beside(&mut report, "export", format, &["duckdb"], |engine, run| {
                self.databases.path().join(format!("{engine}-{run}.{format}"))
            })?;
        }
        report.finish()
    }

    /// The same work by Sheaf and its peers, in turns.
    fn beside(
        &self,
        report: &mut Report,
        action: &str,
        format: &str,
        peers: &[&str],
        file: impl Fn(&str, usize) -> PathBuf,
    ) -> Result<(), Failure> {
        let engines: Vec<&str> = ["sheaf"].into_iter().chain(peers.iter().copied()).collect();
        let mut best: Vec<Option<Outcome>> = vec![None; engines.len()];
        for run in 0..RUNS {
            for (engine, best) in engines.iter().zip(&mut best) {
                let file = file(engine, run);
                if action == "load" {
                    warm(&file)?;
                }
                let outcome = self.task(engine, action, format, &file).one()?;
                if action == "export" {
                    let answer = self.answer_of_file(&file)?;
                    let outcome = Outcome { answer, ..outcome };
                    keep(best, outcome);
                    fs::remove_file(&file)?;
                } else {
                    keep(best, outcome);
                }
            }
        }
        let [ours, theirs @ ..] = &best[..] else { return Err("nothing was measured".into()) };
        let ours = ours.as_ref().ok_or("Sheaf did not run")?;
        for (peer, theirs) in peers.iter().zip(theirs.iter().flatten()) {
            let same = ours.answer.iter().zip(&theirs.answer).all(|(a, b)| a == b);
            if !same {
                return Err(format!(
                    "{action} {format}: the rows differ\n{:?}\n{peer} {:?}",
                    ours.answer, theirs.answer
                )
                .into());
            }
            let name = format!("{action} {format}");
            report.times(&name, ours.seconds * 1e3, peer, theirs.seconds * 1e3);
            println!("{:<44} {:>36}", "", memory(ours, peer, theirs));
        }
        Ok(())
    }

    fn task(&self, engine: &str, action: &str, format: &str, file: &Path) -> Run<'_> {
        // Exports read what the last load of the engine made.
        let database = self.databases.path().join(engine);
        let task = Task {
            engine: engine.to_owned(),
            action: action.to_owned(),
            format: format.to_owned(),
            commits: (0, 1),
            file: file.display().to_string(),
            database: database.display().to_string(),
            threads: self.threads,
            create: self.create.clone(),
            check: CHECK.to_owned(),
        };
        Run { bench: self, task }
    }

    /// What the check says of a file that was written, with the types of the table.
    fn answer_of_file(&self, file: &Path) -> Result<Vec<String>, Failure> {
        let session = Database::in_memory()?.session();
        session.execute_blocking(&self.create)?;
        session.execute_blocking(&format!("COPY lineitem FROM '{}'", file.display()))?;
        answer(&session, CHECK)
    }

    /// Loads a file that is larger than what may be in memory.
    fn large(&self) -> Result<(), Failure> {
        let file = self.files.join("lineitem-large.csv");
        if !file.exists() {
            repeat(&self.files.join("lineitem.csv"), &file, LARGE_BYTES)?;
        }
        let mut report = Report::new("load-large");
        for engine in ["sheaf", "duckdb"] {
            let outcome = self.task(engine, "load", "csv", &file).one()?;
            let what = format!("{engine}: a CSV file of {} GB", LARGE_BYTES / 1_000_000_000);
            report.figure(&what, format!("{:.1} s", outcome.seconds));
            let what = format!("{engine}: the most memory, with the check's");
            report.figure(&what, format!("{} MiB", outcome.peak_bytes >> 20));
        }
        report.finish()
    }
}

struct Run<'a> {
    bench: &'a Bench,
    task: Task,
}

impl Run<'_> {
    fn one(&self) -> Result<Outcome, Failure> {
        let database = Path::new(&self.task.database);
        if self.task.action == "load" && database.exists() {
            fs::remove_dir_all(database)?;
        }
        if self.task.engine == "sheaf" {
            return self.task.run_here();
        }
        let mut command = Command::new(&self.bench.python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/peers.py"));
        self.task.run(command)
    }
}

fn keep(best: &mut Option<Outcome>, outcome: Outcome) {
    if best.as_ref().is_none_or(|best| outcome.seconds < best.seconds) {
        *best = Some(outcome);
    }
}

fn memory(ours: &Outcome, peer: &str, theirs: &Outcome) -> String {
    format!("memory {} MiB · {peer} {} MiB", ours.peak_bytes >> 20, theirs.peak_bytes >> 20)
}

/// Sheaf's side.
fn work(task: &Task) -> Result<(), Failure> {
    let start = Instant::now();
    let database = Database::open(&task.database)?;
    let session = database.session();
    session.execute_blocking(&format!(
        "SET datafusion.execution.target_partitions = {}",
        task.threads
    ))?;
    match task.action.as_str() {
        "load" => {
            session.execute_blocking(&task.create)?;
            session.execute_blocking(&format!("COPY lineitem FROM '{}'", task.file))?;
            let seconds = start.elapsed().as_secs_f64();
            Outcome::print(seconds, answer(&session, CHECK)?)
        }
        "export" => {
            let start = Instant::now();
            session.execute_blocking(&format!("COPY lineitem TO '{}'", task.file))?;
            Outcome::print(start.elapsed().as_secs_f64(), Vec::new())
        }
        other => Err(format!("no such action: {other}").into()),
    }
}

/// Reads a file, so that no engine waits for the disk.
fn warm(file: &Path) -> Result<(), Failure> {
    let mut file = fs::File::open(file)?;
    let mut buffer = vec![0; 1 << 20];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

/// The header of a CSV file once, and its records again and again.
fn repeat(from: &Path, to: &Path, bytes: u64) -> Result<(), Failure> {
    let text = fs::read(from)?;
    let header = text.iter().position(|&byte| byte == b'\n').ok_or("no header")? + 1;
    let (header, records) = text.split_at(header);
    let mut out = BufWriter::new(fs::File::create(to)?);
    out.write_all(header)?;
    let mut written = 0;
    while written < bytes {
        out.write_all(records)?;
        written += records.len() as u64;
    }
    out.flush()?;
    Ok(())
}
