//! What each command does and prints.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use sheaf_tpch::args::{CompareArgs, Data, GenArgs, LoadArgs, RunArgs};
use sheaf_tpch::compare::{self, EngineOutcome, Plan, QueryOutcome, State};
use sheaf_tpch::measure::Engine;
use sheaf_tpch::{Result, folders, generate, load, queries, report, selection};

/// `sheaf-tpch gen`
pub fn generate(args: &GenArgs) -> Result<ExitCode> {
    let folder = args.folder()?;
    let made = generate::generate(args.data.benchmark, args.data.sf, &folder, args.threads())?;
    println!(
        "{}: {} new files, {} rows in {:.1} s, {} in all",
        folder.display(),
        made.files,
        report::count(made.rows),
        made.seconds,
        report::bytes(folders::bytes(&folder)?),
    );
    Ok(ExitCode::SUCCESS)
}

/// `sheaf-tpch load`
pub fn load(args: &LoadArgs) -> Result<ExitCode> {
    let Data { benchmark, sf } = args.data;
    let database = match &args.db {
        Some(path) => path.clone(),
        None => {
            let path = folders::database("sheaf", benchmark, sf, args.keys)?;
            // Its figures are those of `compare`, which loads in a process of its own.
            for stale in [path.clone(), format!("{}.json", path.display()).into()] {
                match stale {
                    stale if stale.is_dir() => fs::remove_dir_all(&stale)?,
                    stale if stale.exists() => fs::remove_file(&stale)?,
                    _ => {}
                }
            }
            path
        }
    };
    let data = match &args.folder {
        Some(folder) => folder.clone(),
        None => folders::data(benchmark, sf)?,
    };
    let sources = load::sources(benchmark, sf, &data, args.keys)?;
    let loaded = load::load(&sources, &database, |table| {
        println!(
            "{:<24} {:>14} rows {:>8.2} s {:>14}/s",
            table.name,
            report::count(table.rows),
            table.seconds,
            report::count((table.rows as f64 / table.seconds) as u64),
        );
    })?;
    println!(
        "{}: {} rows in {:.2} s, {}/s, {} on disk",
        database.display(),
        report::count(loaded.rows),
        loaded.seconds,
        report::count((loaded.rows as f64 / loaded.seconds) as u64),
        report::bytes(loaded.bytes),
    );
    Ok(ExitCode::SUCCESS)
}

/// `sheaf-tpch run`
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    let Data { benchmark, sf } = args.data;
    let path = match &args.db {
        Some(path) => path.clone(),
        None => folders::database("sheaf", benchmark, sf, args.work.keys)?,
    };
    let numbers = selection::parse(args.work.query.as_deref(), benchmark.queries())?;
    let queries = queries::queries(benchmark, sf, &numbers)?;
    let engine = Engine::open(&path, args.work.threads())?;
    if let Some(limit) = &args.work.memory_limit {
        engine.limit_memory(limit)?;
    }
    let mut outcome = EngineOutcome::new(compare::Engine::Sheaf);
    println!("query     cold s      hot s       rows");
    for query in &queries {
        let mut done = QueryOutcome::new(query.number);
        match engine.measure(&query.sql, args.work.runs + 1) {
            Ok(measured) => {
                done.rows = measured.rows() as u64;
                done.seconds = measured.times.iter().map(Duration::as_secs_f64).collect();
                println!(
                    "Q{:<4} {:>10.4} {:>10.4} {:>10}",
                    query.number,
                    done.cold().unwrap_or_default(),
                    done.hot().unwrap_or_default(),
                    report::count(done.rows),
                );
                // Nobody compared it: that there is an answer is all that is known.
                done.state = State::Right { tied: 0 };
            }
            Err(failure) => {
                println!("Q{:<4} failed: {failure}", query.number);
                done.state = State::Failed(failure.to_string());
            }
        }
        outcome.queries.push(done);
    }
    println!("all, hot         {:>10.4}", outcome.hot_total());
    engine.close()?;
    if let Some(path) = &args.work.json {
        report::json::write_run(path, &args.data, &args.work, &outcome)?;
    }
    let failed = |query: &QueryOutcome| matches!(query.state, State::Failed(_));
    Ok(code(!outcome.queries.iter().any(failed)))
}

/// `sheaf-tpch compare`
pub fn compare(args: &CompareArgs) -> Result<ExitCode> {
    let Data { benchmark, sf } = args.data;
    let work = &args.work;
    let data = folders::data(benchmark, sf)?;
    generate::generate(benchmark, sf, &data, work.threads())?;
    let numbers = selection::parse(work.query.as_deref(), benchmark.queries())?;
    let plan = Plan {
        benchmark,
        sf,
        sources: load::sources(benchmark, sf, &data, work.keys)?,
        data,
        keys: work.keys,
        threads: work.threads(),
        memory_limit: work.memory_limit.clone(),
        reload: args.reload,
        queries: queries::queries(benchmark, sf, &numbers)?,
        runs: work.runs,
        patience: Duration::from_secs(args.timeout),
    };
    let comparison = compare::compare(&plan, &args.peer, &mut |what| eprintln!("{what}"))?;
    if let Some(path) = &work.json {
        report::json::write(path, &plan, &comparison)?;
    }
    if let Some(path) = &args.plot {
        let title = format!(
            "{} SF{sf}, {} threads: peer's time / Sheaf's time, above 1 Sheaf is ahead",
            benchmark.title(),
            plan.threads
        );
        report::plot::write(path, &title, &comparison)?;
    }
    print!("{}", report::table::text(&comparison));
    Ok(code(comparison.passed()))
}

/// `sheaf-tpch engine`
pub fn engine() -> Result<ExitCode> {
    compare::serve(std::io::stdin().lock(), std::io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

fn code(success: bool) -> ExitCode {
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
