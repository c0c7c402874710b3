//! What is done to an engine, and what is measured.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::data::{Random, Zipf, fill, key};
use crate::engines::{self, Engine, KEY_LEN, VALUE_LEN};
use crate::{Failure, Figure};

/// The workloads, in the order in which they run.
pub const NAMES: [&str; 4] = ["puts", "synced", "ycsb", "busy"];

/// Runs one workload of one engine in a new folder.
pub fn run(workload: &str, engine: &str, folder: &Path, keys: u64) -> Result<Vec<Figure>, Failure> {
    let engine = engines::open(engine, folder)?;
    let engine = engine.as_ref();
    match workload {
        "puts" => puts(engine, folder, keys),
        "synced" => synced(engine),
        "ycsb" => ycsb(engine, keys),
        "busy" => busy(engine, keys),
        other => Err(format!("no workload '{other}'").into()),
    }
}

fn figure(name: &str, value: f64, unit: &str) -> Figure {
    Figure { name: name.to_owned(), value, unit: unit.to_owned() }
}

/// Random puts, half of them over a key that is there, then reads of what they left.
fn puts(engine: &dyn Engine, folder: &Path, puts: u64) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    let mut random = Random(1);
    let mut value = [0; VALUE_LEN];
    let mut keys = 0;
    let written = bytes_written()?;
    let start = Instant::now();
    for i in 0..puts {
        fill(&mut value, &mut random);
        let chosen = if i % 2 == 0 { keys } else { random.below(keys) };
        engine.put(&key(chosen), &value, false)?;
        keys = keys.max(chosen + 1);
    }
    figures.push(figure("put, not synced", per_second(puts, start.elapsed()), "per s"));
    engine.drain()?;
    let drained = per_second(puts, start.elapsed());
    figures.push(figure("put, flushed and merged too", drained, "per s"));
    let logical = (puts * (KEY_LEN + VALUE_LEN) as u64) as f64;
    let written = (bytes_written()? - written) as f64;
    figures.push(figure("bytes written per byte put", written / logical, "x"));
    let live = (keys * (KEY_LEN + VALUE_LEN) as u64) as f64;
    figures.push(figure("bytes on disk per byte that lives", disk_bytes(folder)? / live, "x"));

    let reads = puts.min(1_000_000);
    let mut samples = Vec::with_capacity(reads as usize);
    for _ in 0..reads {
        let key = key(random.below(keys));
        let start = Instant::now();
        let found = engine.get(&key)?;
        samples.push(start.elapsed());
        found.ok_or("a key is missing")?;
    }
    latencies("get", &mut samples, &mut figures);
    samples.clear();
    for i in 0..reads / 4 {
        let key = key(keys + i);
        let start = Instant::now();
        let found = engine.get(&key)?;
        samples.push(start.elapsed());
        if found.is_some() {
            return Err("a key is there that nobody put".into());
        }
    }
    latencies("get of a key that is not there", &mut samples, &mut figures);

    let start = Instant::now();
    let rows = engine.to_arrow()?;
    if rows as u64 != keys {
        return Err(format!("{rows} rows were read of {keys}").into());
    }
    figures.push(figure("all rows into Arrow", per_second(keys, start.elapsed()), "rows per s"));
    Ok(figures)
}

fn synced(engine: &dyn Engine) -> Result<Vec<Figure>, Failure> {
    let put = |from: u64, count: u64| -> Result<(), Failure> {
        let mut random = Random(from);
        let mut value = [0; VALUE_LEN];
        for i in from..from + count {
            fill(&mut value, &mut random);
            engine.put(&key(i), &value, true)?;
        }
        Ok(())
    };
    let start = Instant::now();
    put(0, 10_000)?;
    let alone = per_second(10_000, start.elapsed());
    let start = Instant::now();
    std::thread::scope(|scope| {
        let writers: Vec<_> =
            (1..=32).map(|w| scope.spawn(move || put(w * 1_000_000, 5_000))).collect();
        writers.into_iter().try_for_each(|w| w.join().map_err(|_| "a writer panicked")?)
    })?;
    let together = per_second(32 * 5_000, start.elapsed());
    Ok(vec![
        figure("synced put, 1 writer", alone, "per s"),
        figure("synced put, 32 writers", together, "per s"),
    ])
}

/// The core workloads of YCSB with one thread, rows of one field.
fn ycsb(engine: &dyn Engine, keys: u64) -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    let mut random = Random(7);
    let mut value = [0; VALUE_LEN];
    let start = Instant::now();
    for i in 0..keys {
        fill(&mut value, &mut random);
        engine.put(&key(i), &value, false)?;
    }
    figures.push(figure("load", per_second(keys, start.elapsed()), "per s"));
    engine.drain()?;
    let zipf = Zipf::new(keys);
    let mut inserted = keys;
    let operations = keys.min(1_000_000);
    // Share of reads; what the others are.
    for (name, reads, rest, operations) in [
        ("C: reads", 1.0, Rest::Update, operations),
        ("B: 5 % updates", 0.95, Rest::Update, operations),
        ("A: 50 % updates", 0.5, Rest::Update, operations),
        ("F: 50 % read, change, write", 0.5, Rest::ReadModifyWrite, operations),
        ("E: ranges, 5 % inserts", 0.95, Rest::Insert, operations / 10),
    ] {
        let border = (reads * (1_u64 << 32) as f64) as u64;
        let start = Instant::now();
        for _ in 0..operations {
            let chosen = key(zipf.next(&mut random));
            if random.next() >> 32 < border {
                if rest == Rest::Insert {
                    let limit = 1 + random.below(100) as usize;
                    std::hint::black_box(engine.scan(&chosen, limit)?);
                } else {
                    engine.get(&chosen)?.ok_or("a key is missing")?;
                }
                continue;
            }
            fill(&mut value, &mut random);
            match rest {
                Rest::Update => engine.put(&chosen, &value, false)?,
                Rest::ReadModifyWrite => {
                    engine.get(&chosen)?.ok_or("a key is missing")?;
                    engine.put(&chosen, &value, false)?;
                }
                Rest::Insert => {
                    engine.put(&key(inserted), &value, false)?;
                    inserted += 1;
                }
            }
        }
        figures.push(figure(name, per_second(operations, start.elapsed()), "per s"));
    }
    Ok(figures)
}

#[derive(Clone, Copy, PartialEq)]
enum Rest {
    Update,
    ReadModifyWrite,
    Insert,
}

/// Reads while another thread writes 50,000 rows a second.
fn busy(engine: &dyn Engine, keys: u64) -> Result<Vec<Figure>, Failure> {
    const PER_MS: u64 = 50;
    const TIME: Duration = Duration::from_secs(15);
    let mut random = Random(3);
    let mut value = [0; VALUE_LEN];
    let keys = keys.min(5_000_000);
    for i in 0..keys {
        fill(&mut value, &mut random);
        engine.put(&key(i), &value, false)?;
    }
    engine.drain()?;
    for i in 0..keys {
        engine.get(&key(i))?.ok_or("a key is missing")?;
    }
    let done = AtomicBool::new(false);
    let written = AtomicU64::new(0);
    let mut samples = Vec::new();
    std::thread::scope(|scope| -> Result<(), Failure> {
        let writer = scope.spawn(|| -> Result<(), Failure> {
            let mut random = Random(5);
            let mut value = [0; VALUE_LEN];
            let start = Instant::now();
            while !done.load(Ordering::Relaxed) {
                for _ in 0..PER_MS {
                    fill(&mut value, &mut random);
                    engine.put(&key(random.below(keys)), &value, false)?;
                }
                let count = written.fetch_add(PER_MS, Ordering::Relaxed) + PER_MS;
                let due = start + Duration::from_millis(count / PER_MS);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            Ok(())
        });
        let start = Instant::now();
        while start.elapsed() < TIME {
            let key = key(random.below(keys));
            let start = Instant::now();
            let found = engine.get(&key);
            samples.push(start.elapsed());
            if !matches!(found, Ok(Some(_))) {
                done.store(true, Ordering::Relaxed);
                return Err("a key is missing".into());
            }
        }
        done.store(true, Ordering::Relaxed);
        writer.join().map_err(|_| "the writer panicked")?
    })?;
    let mut figures = Vec::new();
    let rate = written.load(Ordering::Relaxed) as f64 / TIME.as_secs_f64();
    figures.push(figure("puts beside", rate, "per s"));
    latencies("get beside 50,000 puts/s", &mut samples, &mut figures);
    Ok(figures)
}

fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn latencies(name: &str, samples: &mut [Duration], figures: &mut Vec<Figure>) {
    samples.sort_unstable();
    let total: Duration = samples.iter().sum();
    figures.push(figure(name, per_second(samples.len() as u64, total), "per s"));
    for percent in [50.0, 99.0, 99.9] {
        let at = (samples.len() as f64 * percent / 100.0) as usize;
        let micros = samples[at.min(samples.len() - 1)].as_secs_f64() * 1e6;
        figures.push(figure(&format!("{name}, p{percent}"), micros, "us"));
    }
}

/// Bytes that this process handed to the file system.
fn bytes_written() -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/self/io")?;
    let line = text.lines().find_map(|line| line.strip_prefix("wchar: "));
    Ok(line.ok_or("/proc/self/io has no wchar")?.parse()?)
}

fn disk_bytes(folder: &Path) -> Result<f64, Failure> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.metadata()? {
            meta if meta.is_dir() => disk_bytes(&entry.path())? as u64,
            meta => meta.len(),
        };
    }
    Ok(bytes as f64)
}
