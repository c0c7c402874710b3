//! The cheapest order of joins: all of them are compared for small groups, and for
//! larger ones the pair that leaves the fewest rows is joined, again and again.

use super::join_graph::{Class, JoinGraph, Member, Set, Tree};

/// Nodes up to which all orders are compared: their number triples with each node.
const EXHAUSTIVE_MAX: usize = 11;

// What a row costs, as measured: building a table of keys, which one thread does,
// looking up in it, returning a row, and comparing two rows where there is no key.
const BUILD: f64 = 10.0;
const PROBE: f64 = 1.0;
const OUTPUT: f64 = 1.0;
const COMPARE: f64 = 0.3;

/// A way to join a set of nodes.
#[derive(Clone, Debug)]
struct Candidate {
    set: Set,
    rows: f64,
    cost: f64,
    tree: Tree,
}

/// The cheapest tree, and its cost.
pub(super) fn cheapest(graph: &JoinGraph) -> Option<(Tree, f64)> {
    let best = match graph.nodes() {
        0..=EXHAUSTIVE_MAX => exhaustive(graph),
        _ => None,
    };
    let best = best.or_else(|| greedy(graph))?;
    Some((best.tree, best.cost))
}

/// The cost of a given tree.
pub(super) fn cost(graph: &JoinGraph, tree: &Tree) -> f64 {
    fn candidate(graph: &JoinGraph, tree: &Tree) -> Candidate {
        match tree {
            Tree::Node(node) => single(graph, *node),
            Tree::Join(left, right) => {
                join(graph, &candidate(graph, left), &candidate(graph, right))
            }
        }
    }
    candidate(graph, tree).cost
}

fn single(graph: &JoinGraph, node: usize) -> Candidate {
    let set = 1 << node;
    let rows = match graph.test(set) {
        Some(test) => test.rows,
        None => graph.rows(set),
    };
    Candidate { set, rows, cost: 0.0, tree: Tree::Node(node) }
}

/// The smaller side is built from and comes first; a test comes second.
fn join(graph: &JoinGraph, left: &Candidate, right: &Candidate) -> Candidate {
    let set = left.set | right.set;
    let rows = graph.rows(set);
    let second_is_test = graph.test(right.set).is_some();
    let first_is_test = graph.test(left.set).is_some();
    let keep = second_is_test || (!first_is_test && left.rows <= right.rows);
    let (first, second) = if keep { (left, right) } else { (right, left) };
    Candidate {
        set,
        rows,
        cost: cost_of_join(graph, left, right, rows),
        tree: Tree::Join(Box::new(first.tree.clone()), Box::new(second.tree.clone())),
    }
}

/// The cost of a join that returns `rows`, and of its sides.
fn cost_of_join(graph: &JoinGraph, left: &Candidate, right: &Candidate, rows: f64) -> f64 {
    let work = if graph.have_equal(left.set, right.set) {
        BUILD * left.rows.min(right.rows) + PROBE * left.rows.max(right.rows)
    } else {
        COMPARE * left.rows * right.rows
    };
    left.cost + right.cost + work + OUTPUT * rows
}

/// `None` when some nodes have nothing in common with the others.
fn exhaustive(graph: &JoinGraph) -> Option<Candidate> {
    let all: Set = (1 << graph.nodes()) - 1;
    let mut best: Vec<Option<Candidate>> = vec![None; 1 << graph.nodes()];
    for set in 1..=all {
        if set.count_ones() == 1 {
            best[set as usize] = Some(single(graph, set.trailing_zeros() as usize));
            continue;
        }
        let lowest = set & set.wrapping_neg();
        let rows = graph.rows(set);
        let mut found: Option<(f64, &Candidate, &Candidate)> = None;
        // Every division in two; the half with the lowest node is the left one.
        let mut left = (set - 1) & set;
        while left > 0 {
            let right = set & !left;
            if left & lowest != 0
                && let (Some(a), Some(b)) = (&best[left as usize], &best[right as usize])
                && a.cost + b.cost < found.map_or(f64::INFINITY, |(cost, ..)| cost)
                && graph.may_join(left, right)
            {
                let cost = cost_of_join(graph, a, b, rows);
                if found.is_none_or(|(lowest, ..)| cost < lowest) {
                    found = Some((cost, a, b));
                }
            }
            left = (left - 1) & set;
        }
        best[set as usize] = found.map(|(_, a, b)| join(graph, a, b));
    }
    best.pop().flatten()
}

/// `None` when nodes are left that cannot be joined.
fn greedy(graph: &JoinGraph) -> Option<Candidate> {
    let mut parts: Vec<Candidate> = (0..graph.nodes()).map(|node| single(graph, node)).collect();
    while parts.len() > 1 {
        let pairs = || (0..parts.len()).flat_map(|j| (0..j).map(move |i| (i, j)));
        let joined = |(i, j): (usize, usize)| (join(graph, &parts[i], &parts[j]), i, j);
        let connected = pairs()
            .filter(|&(i, j)| graph.may_join(parts[i].set, parts[j].set))
            .map(joined)
            .min_by(|(a, ..), (b, ..)| a.rows.total_cmp(&b.rows).then(a.cost.total_cmp(&b.cost)));
        // What has nothing in common comes together at the end, the smallest first; by
        // then every test has been made that can be.
        let next = connected.or_else(|| {
            pairs()
                .filter(|&(i, j)| [i, j].iter().all(|&part| graph.test(parts[part].set).is_none()))
                .map(joined)
                .min_by(|(a, ..), (b, ..)| a.rows.total_cmp(&b.rows))
        });
        let (candidate, i, j) = next?;
        parts.swap_remove(j);
        parts.swap_remove(i);
        parts.push(candidate);
    }
    parts.pop()
}

impl JoinGraph {
    /// Whether the sets can be joined without comparing all rows with all, or one is a
    /// test that the other has all relations for.
    fn may_join(&self, left: Set, right: Set) -> bool {
        for (one, other) in [(left, right), (right, left)] {
            if let Some(test) = self.test(one) {
                return test.needs & !other == 0;
            }
        }
        self.have_equal(left, right) || self.is_a_lookup(left, right)
    }

    /// Whether a class or a test connects the sets.
    fn have_equal(&self, left: Set, right: Set) -> bool {
        if let Some(test) = self.test(left).or(self.test(right)) {
            return !test.join.on.is_empty();
        }
        self.classes.iter().any(|class| {
            let members = class.members.iter().fold(0, |set: Set, m| set | 1 << m.relation);
            members & left != 0 && members & right != 0
        })
    }

    /// Whether a condition compares the one row of one set with rows of the other.
    fn is_a_lookup(&self, left: Set, right: Set) -> bool {
        let one_row =
            |set: Set| set.count_ones() == 1 && self.test(set).is_none() && self.rows(set) <= 1.0;
        (one_row(left) || one_row(right))
            && self.conditions.iter().any(|condition| {
                let needs = condition.needs;
                needs & !(left | right) == 0 && needs & left != 0 && needs & right != 0
            })
    }

    /// Expected rows of a set of relations with the tests in it: the same, however they
    /// are joined.
    fn rows(&self, set: Set) -> f64 {
        let contains = |node: usize| set & 1 << node != 0;
        let relations = (0..self.relations.len()).filter(|&node| contains(node));
        let mut rows: f64 = relations.map(|node| self.relations[node].estimate.rows).product();
        for class in &self.classes {
            let inside: Vec<f64> = class
                .members
                .iter()
                .filter(|member| contains(member.relation))
                .map(|member| self.distinct(class, member))
                .collect();
            let smallest = inside.iter().copied().fold(f64::INFINITY, f64::min);
            if inside.len() > 1 {
                rows *= smallest / inside.iter().product::<f64>();
            }
        }
        rows *= self.composite_keys(set);
        for condition in self.conditions.iter().filter(|condition| condition.needs & !set == 0) {
            rows *= condition.share;
        }
        for (index, test) in self.tests.iter().enumerate() {
            if contains(self.relations.len() + index) {
                rows *= test.share;
            }
        }
        rows.max(1.0)
    }

    /// Distinct values of a member. Where they are not known, they are those of a key:
    /// of another member of the class, or of its smallest relation.
    fn distinct(&self, class: &Class, member: &Member) -> f64 {
        let estimate = |member: &Member| &self.relations[member.relation].estimate;
        let known = |member: &Member| member.estimate.distinct;
        let guess = || {
            let most = class.members.iter().filter_map(known).reduce(f64::max);
            let all = class.members.iter().map(|member| estimate(member).all_rows);
            most.unwrap_or_else(|| all.fold(f64::INFINITY, f64::min))
        };
        known(member).unwrap_or_else(guess).clamp(1.0, estimate(member).rows.max(1.0))
    }

    /// Several columns together are a key more often than by chance: what independent
    /// columns would leave is too little by this factor.
    fn composite_keys(&self, set: Set) -> f64 {
        let mut factor = 1.0;
        let relations = (0..self.relations.len()).filter(|node| set & 1 << node != 0);
        let relations: Vec<usize> = relations.collect();
        for (at, &a) in relations.iter().enumerate() {
            for &b in &relations[at + 1..] {
                let pairs: Vec<(&Class, [&Member; 2])> = self
                    .classes
                    .iter()
                    .filter_map(|class| {
                        let of = |node| class.members.iter().find(|m| m.relation == node);
                        Some((class, [of(a)?, of(b)?]))
                    })
                    .collect();
                let alone = |(_, pair): &(&Class, [&Member; 2])| {
                    pair.iter().any(|member| member.estimate.unique)
                };
                if pairs.len() < 2 || pairs.iter().any(alone) {
                    continue;
                }
                let combinations = |side: usize| {
                    let values = pairs.iter().map(|(class, pair)| self.distinct(class, pair[side]));
                    let rows = self.relations[[a, b][side]].estimate.rows;
                    values.product::<f64>().min(rows)
                };
                let independent: f64 = pairs
                    .iter()
                    .map(|(class, [a, b])| self.distinct(class, a).max(self.distinct(class, b)))
                    .product();
                let together = (combinations(0) * combinations(1)).sqrt();
                factor *= (independent / together).max(1.0);
            }
        }
        factor
    }
}
