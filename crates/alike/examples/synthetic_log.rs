//! Writes a synthetic log of interactions as RecBole has them, to measure `prepare` at scale:
//! `cargo run --release --example synthetic_log -- FILE [users] [items] [interactions]`
//!
//! Ids are text of 12 to 14 characters; users and items follow a power law, so that a few are in very many
//! rows and many are in few.

use std::fs::File;
use std::io::{BufWriter, Write};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("the file to write is needed")?;
    let mut count = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (users, items, rows) = (count(1_000_000)?, count(200_000)?, count(10_000_000)?);

    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(out, "user_id:token\titem_id:token\trating:float\ttimestamp:float")?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    // A uniform number to the third power leans to the small ids; ids are scattered by a multiplication.
    let skewed = |n: u64, rng: &mut ChaCha8Rng| {
        let place = (rng.random::<f64>().powi(3) * n as f64) as u64;
        place.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (1 << 40)
    };
    for row in 0..rows {
        // The first rows name every user once, so that their number is as asked.
        let user = match row {
            r if r < users => r.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (1 << 40),
            _ => skewed(users, &mut rng),
        };
        let item = match row {
            r if r < items => r.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (1 << 40),
            _ => skewed(items, &mut rng),
        };
        let (rating, time) = (rng.random_range(1..=5u8), 1_500_000_000 + rng.random_range(0..100_000_000u64));
        writeln!(out, "U{user:012X}\tB{item:011X}\t{rating}.0\t{time}")?;
    }
    out.flush()?;
    Ok(())
}
