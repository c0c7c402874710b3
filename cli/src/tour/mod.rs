//! `sheaf tour`: one database, every model, on a year of flights and weather.
//!
//! Each chapter prints what it runs, the result and the time. A figure that it
//! promises is checked: a tour that ends well has shown what it says.

mod chapters;
mod data;
mod folder;
mod guide;
mod kill;
mod latency;

use std::time::Instant;

use crate::args::TourArgs;
use crate::message::Failure;
use folder::Folder;
use guide::Guide;

pub use kill::write_until_killed;

/// Runs the tour. Its folder goes at the end, unless it is to be kept; after a
/// failure it stays, so that one can look.
pub fn run(args: &TourArgs) -> Result<(), Failure> {
    let started = Instant::now();
    let folder = Folder::claim(&args.path)?;
    println!(
        "Sheaf's tour: flights from New York in 2013 and the weather there, in {}",
        folder.path().display()
    );
    let guide = chapters(&folder)?;
    guide.database.close()?;
    drop(guide);
    end(folder, args.keep, started)
}

fn chapters(folder: &Folder) -> Result<Guide, Failure> {
    let data = data::Data::read()?;
    let guide = Guide::open(folder.path())?;
    folder.mark()?;
    folder.mark()?;
    chapters::hot::run(&guide, &data)?;
    chapters::columnar::run(&guide)?;
    chapters::time::run(&guide)?;
    chapters::similar::run(&guide, &data)?;
    chapters::together::run(&guide)?;
    let guide = kill::run(guide, folder.path())?;
    chapters::sizes::run(&guide, folder.path())?;
    Ok(guide)
}

fn end(folder: Folder, keep: bool, started: Instant) -> Result<(), Failure> {
    println!("\nThe tour took {:.1} s. What to try next:", started.elapsed().as_secs_f64());
    let path = folder.path().display().to_string();
    if keep {
        println!(
            "  sheaf {path}              the shell, on this database; .tables and .schema to look around"
        );
        println!("  sheaf verify {path}       read and check every byte of it");
    } else {
        folder.remove()?;
        println!("  sheaf tour --keep           the same, and the database stays in ./tour.sheaf");
        println!(
            "  sheaf my.sheaf              the shell, on a database of your own; .help lists its commands"
        );
    }
    println!(
        "  sheaf --help                one statement from a script, results as CSV, JSON or Arrow"
    );
    Ok(())
}
