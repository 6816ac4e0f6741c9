//! Pseudo-random numbers that are the same on every machine and in every version.

/// SplitMix64 (Steele, Lea, Flood, 2014): a seed, and a new number at each step.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to below 1.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// From `low` to below `high`.
    pub fn within(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// From 0 to below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        (self.bits() % count.max(1) as u64) as usize
    }

    /// A random item of the list.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Returns `true` with this probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// Shuffles a list.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

/// A line that wanders smoothly between -1 and 1: octaves of noise, each finer and weaker.
#[derive(Clone, Debug)]
pub struct Wander {
    knots: Vec<f32>,
    octaves: u32,
    roughness: f32,
}

impl Wander {
    /// A line with this many octaves; each has `roughness` times the weight of the one before.
    pub fn new(random: &mut Random, octaves: u32, roughness: f32) -> Self {
        Self { knots: (0..256).map(|_| random.within(-1.0, 1.0)).collect(), octaves, roughness }
    }

    /// The line's value at `x`; it bends about once per unit.
    pub fn at(&self, x: f32) -> f32 {
        let (mut sum, mut weight, mut total, mut x) = (0.0, 1.0, 0.0, x + 64.0);
        for _ in 0..self.octaves {
            let (knot, part) = (x.floor(), x - x.floor());
            let knot = knot as usize;
            let smooth = part * part * (3.0 - 2.0 * part);
            let (here, next) = (self.knots[knot % 256], self.knots[(knot + 1) % 256]);
            sum += weight * (here + (next - here) * smooth);
            total += weight;
            weight *= self.roughness;
            x = x * 2.03 + 17.0;
        }
        sum / total
    }
}
