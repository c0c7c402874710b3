//! What came of a comparison.

use super::engine::{Engine, LoadFigures};
use crate::queries::Query;

/// All engines, Sheaf first.
#[derive(Debug)]
pub struct Comparison {
    /// What came of each.
    pub engines: Vec<EngineOutcome>,
}

/// One engine.
#[derive(Debug)]
pub struct EngineOutcome {
    /// Which.
    pub engine: Engine,
    /// Its version.
    pub version: String,
    /// What it could not do as it was told.
    pub notes: Vec<String>,
    /// What loading took.
    pub load: LoadFigures,
    /// The most memory of the process that ran the queries.
    pub peak_bytes: u64,
    /// Each query, in the order of the plan.
    pub queries: Vec<QueryOutcome>,
}

/// One query on one engine.
#[derive(Debug)]
pub struct QueryOutcome {
    /// Its number.
    pub number: usize,
    /// Each run, the cold one first.
    pub seconds: Vec<f64>,
    /// Rows of the answer.
    pub rows: u64,
    /// Whether there was an answer, and the right one.
    pub state: State,
}

/// How a query went.
#[derive(Debug)]
pub enum State {
    /// The answer is right; this many rows tie at a limit and were not compared.
    Right {
        /// Their number.
        tied: usize,
    },
    /// The answer is not right.
    Wrong(String),
    /// There is no answer.
    Failed(String),
}

impl Comparison {
    /// Sheaf's own outcome, and its peers'.
    pub fn sides(&self) -> Option<(&EngineOutcome, &[EngineOutcome])> {
        self.engines.split_first()
    }

    /// Whether Sheaf answered everything right, and nobody anything wrong.
    pub fn passed(&self) -> bool {
        let Some((sheaf, peers)) = self.sides() else { return false };
        let wrong = |query: &QueryOutcome| matches!(query.state, State::Wrong(_));
        sheaf.queries.iter().all(|query| matches!(query.state, State::Right { .. }))
            && !peers.iter().flat_map(|peer| &peer.queries).any(wrong)
    }
}

impl EngineOutcome {
    /// Nothing has been done yet.
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            version: String::new(),
            notes: Vec::new(),
            load: LoadFigures::default(),
            peak_bytes: 0,
            queries: Vec::new(),
        }
    }

    /// None of `queries` can be asked.
    pub fn fail_from(&mut self, queries: &[Query], why: &str) {
        self.queries.extend(queries.iter().map(|query| {
            let state = State::Failed(why.to_owned());
            QueryOutcome { state, ..QueryOutcome::new(query.number) }
        }));
    }

    /// The sum of hot times of the queries that were answered right.
    pub fn hot_total(&self) -> f64 {
        self.queries.iter().filter_map(QueryOutcome::right_hot).sum()
    }
}

impl QueryOutcome {
    /// Not asked yet.
    pub fn new(number: usize) -> Self {
        Self { number, seconds: Vec::new(), rows: 0, state: State::Failed("not asked".into()) }
    }

    /// The first run.
    pub fn cold(&self) -> Option<f64> {
        self.seconds.first().copied()
    }

    /// The best of the later runs; the first when there was no other.
    pub fn hot(&self) -> Option<f64> {
        let later = self.seconds.iter().skip(1).copied().min_by(f64::total_cmp);
        later.or(self.cold())
    }

    /// The hot time of a right answer.
    pub fn right_hot(&self) -> Option<f64> {
        if matches!(self.state, State::Right { .. }) { self.hot() } else { None }
    }
}

/// Times of `peer` over times of `sheaf`, query by query, where both answered right.
pub fn ratios(sheaf: &EngineOutcome, peer: &EngineOutcome) -> Vec<Option<f64>> {
    let ratio = |(ours, theirs): (&QueryOutcome, &QueryOutcome)| {
        Some(theirs.right_hot()? / ours.right_hot()?)
    };
    sheaf.queries.iter().zip(&peer.queries).map(ratio).collect()
}

/// The geometric mean of what is there.
pub fn geomean(ratios: &[Option<f64>]) -> Option<f64> {
    let logs: Vec<f64> = ratios.iter().flatten().map(|ratio| ratio.ln()).collect();
    if logs.is_empty() { None } else { Some((logs.iter().sum::<f64>() / logs.len() as f64).exp()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Peer;

    fn outcome(engine: Engine, queries: &[(&[f64], bool)]) -> EngineOutcome {
        let mut outcome = EngineOutcome::new(engine);
        for (number, (seconds, right)) in (1..).zip(queries) {
            let state = if *right { State::Right { tied: 0 } } else { State::Wrong("x".into()) };
            let seconds = seconds.to_vec();
            outcome.queries.push(QueryOutcome { number, seconds, rows: 1, state });
        }
        outcome
    }

    #[test]
    fn ratios_are_of_hot_times_and_of_right_answers_only() {
        let sheaf =
            outcome(Engine::Sheaf, &[(&[9.0, 1.0, 2.0], true), (&[2.0], true), (&[1.0], true)]);
        let queries: [(&[f64], bool); 3] = [(&[9.0, 4.0], true), (&[2.0], true), (&[7.0], false)];
        let peer = outcome(Engine::Peer(Peer::Duckdb), &queries);
        let ratios = ratios(&sheaf, &peer);
        assert_eq!(ratios, [Some(4.0), Some(1.0), None]);
        assert_eq!(geomean(&ratios), Some(2.0));
        assert_eq!(geomean(&[None]), None);
        assert!(!Comparison { engines: vec![sheaf, peer] }.passed());
    }

    #[test]
    fn a_failing_peer_is_no_failure_and_a_failing_sheaf_is() {
        let mut peer = EngineOutcome::new(Engine::Peer(Peer::Polars));
        peer.queries.push(QueryOutcome::new(1));
        let sheaf = outcome(Engine::Sheaf, &[(&[1.0], true)]);
        assert!(Comparison { engines: vec![sheaf, peer] }.passed());
        let mut sheaf = EngineOutcome::new(Engine::Sheaf);
        sheaf.queries.push(QueryOutcome::new(1));
        assert!(!Comparison { engines: vec![sheaf] }.passed());
    }
}
