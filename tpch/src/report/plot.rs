//! A plot of the ratios: a bar per query and peer, up from 1 where Sheaf is ahead and
//! down where it is behind, on a logarithmic scale.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::compare::{Comparison, geomean, ratios};
use crate::failure::{During, Failure, Result};

const HEIGHT: f64 = 360.0;
const LEFT: f64 = 48.0;
const TOP: f64 = 64.0;
const BAR: f64 = 10.0;
const GAP: f64 = 8.0;
const COLORS: [&str; 6] = ["#3b6ea8", "#d9822b", "#4c9f70", "#a05195", "#b8433f", "#7a7a7a"];

/// Writes the plot as SVG.
pub fn write(path: &Path, title: &str, comparison: &Comparison) -> Result<()> {
    if path.extension().is_none_or(|extension| extension != "svg") {
        return Err(Failure::new(format!("{} is no .svg file", path.display())));
    }
    fs::write(path, svg(title, comparison)).during(format!("writing {}", path.display()))
}

fn svg(title: &str, comparison: &Comparison) -> String {
    let Some((sheaf, peers)) = comparison.sides() else { return String::new() };
    let all: Vec<Vec<Option<f64>>> = peers.iter().map(|peer| ratios(sheaf, peer)).collect();
    let farthest = all.iter().flatten().flatten().map(|ratio| ratio.log2().abs());
    let reach = farthest.fold(1.0, f64::max).ceil();
    let group = BAR * peers.len() as f64 + GAP;
    let width = (LEFT + group * sheaf.queries.len() as f64 + GAP).max(480.0);
    let y = |log: f64| TOP + HEIGHT / 2.0 * (1.0 - log / reach);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{}</text>\n",
        TOP + HEIGHT + 32.0,
        escaped(title)
    );
    let mut add = |line: String| out.push_str(&(line + "\n"));
    for step in -(reach as i32)..=reach as i32 {
        let (at, line) = (y(f64::from(step)), if step == 0 { "#000" } else { "#ddd" });
        add(format!("<path d=\"M{LEFT} {at}H{width}\" stroke=\"{line}\"/>"));
        let label = format!("{}", 2f64.powi(step));
        add(format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{label}</text>",
            LEFT - 6.0,
            at + 4.0
        ));
    }
    let mut legend = LEFT;
    for (at, peer) in peers.iter().enumerate() {
        let (color, ratios) = (COLORS[at % COLORS.len()], &all[at]);
        for (query, ratio) in ratios.iter().enumerate() {
            let Some(log) = ratio.map(f64::log2) else { continue };
            let x = LEFT + GAP + group * query as f64 + BAR * at as f64;
            let (top, height) = (y(log.max(0.0)), (y(0.0) - y(log)).abs());
            add(format!(
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{}\" height=\"{height:.1}\" fill=\"{color}\"/>",
                BAR - 1.0
            ));
        }
        let mean = geomean(ratios).map_or("-".to_owned(), |mean| format!("{mean:.2}"));
        let text = format!("{} (geomean {mean})", peer.engine.name());
        add(format!("<rect x=\"{legend}\" y=\"34\" width=\"10\" height=\"10\" fill=\"{color}\"/>"));
        add(format!("<text x=\"{}\" y=\"43\">{text}</text>", legend + 14.0));
        legend += 30.0 + 6.2 * text.len() as f64;
    }
    for (at, query) in sheaf.queries.iter().enumerate() {
        let x = LEFT + GAP + group * at as f64 + (group - GAP) / 2.0;
        let y = TOP + HEIGHT + 16.0;
        add(format!("<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{}</text>", query.number));
    }
    let _ = writeln!(out, "</svg>");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
