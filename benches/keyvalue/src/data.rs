//! Keys, values, and how they are chosen. The same for every engine.

use crate::engines::{KEY_LEN, VALUE_LEN};

/// A small generator of numbers (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The i-th key: keys are in no order.
pub fn key(i: u64) -> [u8; KEY_LEN] {
    let mut key = [0; KEY_LEN];
    key[..8].copy_from_slice(&mix(i).to_be_bytes());
    key[8..].copy_from_slice(&i.to_be_bytes());
    key
}

/// Fills `value` with letters.
pub fn fill(value: &mut [u8; VALUE_LEN], random: &mut Random) {
    for bytes in value.chunks_mut(10) {
        let mut bits = random.next();
        for byte in bytes {
            *byte = b'0' + (bits & 63) as u8;
            bits >>= 6;
        }
    }
}

/// Numbers below an end, the popular ones far more often: Zipf's law with exponent 0.99,
/// as YCSB has it, after J. Gray et al., "Quickly Generating Billion-Record Synthetic
/// Databases". Popular numbers are scattered.
pub struct Zipf {
    items: u64,
    zeta: f64,
    eta: f64,
    alpha: f64,
}

const THETA: f64 = 0.99;

impl Zipf {
    pub fn new(items: u64) -> Self {
        let zeta_of = |n: u64| (1..=n).map(|i| 1.0 / (i as f64).powf(THETA)).sum::<f64>();
        let zeta = zeta_of(items);
        let eta = (1.0 - (2.0 / items as f64).powf(1.0 - THETA)) / (1.0 - zeta_of(2) / zeta);
        Self { items, zeta, eta, alpha: 1.0 / (1.0 - THETA) }
    }

    pub fn next(&self, random: &mut Random) -> u64 {
        let unit = random.unit();
        let scaled = unit * self.zeta;
        let rank = if scaled < 1.0 {
            0
        } else if scaled < 1.0 + 0.5_f64.powf(THETA) {
            1
        } else {
            (self.items as f64 * (self.eta * unit - self.eta + 1.0).powf(self.alpha)) as u64
        };
        mix(rank) % self.items
    }
}
