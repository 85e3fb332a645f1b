//! A small data set whose right answer is known: a checkerboard of two tastes.

use std::fmt::Write as _;
use std::path::Path;

use crate::npy::write_npy;
use alike::data::{Dataset, PrepareOptions, SplitKind, prepare};

/// Users and items of the checkerboard.
pub(crate) const USERS: usize = 40;
/// Items of the checkerboard.
pub(crate) const ITEMS: usize = 72;

/// Even users take even items, odd users odd ones; of each user's 36 items three are held out for validation
/// and three for test. Item 0 lacks an image, the last item was taken by nobody in train.
pub(crate) fn checkerboard(dir: &Path) -> Dataset {
    let mut inter = String::from("userID\titemID\trating\ttimestamp\tx_label\n");
    for u in 0..USERS {
        for n in 0..ITEMS / 2 {
            let item = 2 * n + u % 2;
            if item == ITEMS - 1 {
                continue;
            }
            let label = match (n + u / 2) % 12 {
                0 => 1,
                1 => 2,
                _ => 0,
            };
            writeln!(inter, "{u}\t{item}\t5\t{n}\t{label}").unwrap();
        }
    }
    writeln!(inter, "0\t{}\t5\t99\t2", ITEMS - 1).unwrap();
    std::fs::write(dir.join("board.inter"), inter).unwrap();
    for (name, dim) in [("image", 6), ("text", 4)] {
        let mut values = Vec::new();
        for item in 0..ITEMS {
            for k in 0..dim {
                let noise = ((item * 7 + k * 13) % 11) as f32 / 20.0;
                let value = if k % 2 == item % 2 { 1.0 + noise } else { noise };
                values.push(if name == "image" && item == 0 { 0.0 } else { value });
            }
        }
        write_npy(&dir.join(format!("{name}.npy")), ITEMS, dim, &values);
    }
    let out = dir.join("data");
    prepare(&PrepareOptions {
        features: vec![("image".into(), dir.join("image.npy")), ("text".into(), dir.join("text.npy"))],
        split: SplitKind::Label,
        ..PrepareOptions::new(dir.join("board.inter"), &out)
    })
    .unwrap();
    Dataset::open(&out).unwrap()
}
