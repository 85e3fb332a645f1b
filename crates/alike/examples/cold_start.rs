//! How well people and items are served that the model was not trained on. Holds out a tenth of the users,
//! and of the items, of a prepared folder, trains without them, and compares with a training that has them:
//! `cargo run --release --example cold_start -- DATA WORK MODEL SHARE SEED [KEY=VALUE]...`
//!
//! Users: their train items are their history, Recall@20 of their test items in a full ranking without that
//! history. Items: Recall@20 of the users' test items among the held-out ones, ranked among the held-out ones
//! only, for users that stay. Features come from DATA; given neighbour graphs are left out, so that both
//! trainings find their own.

#![allow(clippy::print_stdout)]

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use alike::data::{Dataset, PrepareOptions, SplitKind, prepare};
use alike::recommend::{PeopleRequest, Recommender, UserHistory};
use alike::train::{TrainRequest, fit};
use rand::SeedableRng;
use rand::seq::SliceRandom;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What is common to all trainings.
struct Study {
    full: Dataset,
    work: PathBuf,
    model: String,
    settings: toml::Table,
    seed: u64,
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, data, work, model, share, seed, settings @ ..] = arguments.as_slice() else {
        return Err("usage: cold_start DATA WORK MODEL SHARE SEED [KEY=VALUE]...".into());
    };
    let settings =
        settings.iter().map(|s| alike::config::parse_set(s)).collect::<Result<toml::Table, _>>()?;
    let (share, seed): (f64, u64) = (share.parse()?, seed.parse()?);
    let full = Dataset::open(Path::new(data))?;
    let study = Study { full, work: work.into(), model: model.clone(), settings, seed };
    std::fs::create_dir_all(&study.work)?;
    let draw = |count: usize, salt: u64| -> HashSet<u32> {
        let mut all: Vec<u32> = (0..count as u32).collect();
        all.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(2 * seed + salt));
        all.truncate((count as f64 * share).round() as usize);
        all.into_iter().collect()
    };
    let (users, items) = (draw(study.full.users.len(), 0), draw(study.full.items.len(), 1));
    let whole = study.train("whole", &|_, _| true)?;
    study.new_users(&users, &whole)?;
    study.new_items(&items, &whole)
}

impl Study {
    /// Prepares what `keep` keeps of the interactions, trains on it, and opens the run.
    fn train(&self, name: &str, keep: &dyn Fn(u32, u32) -> bool) -> Outcome<Recommender> {
        let full = &self.full;
        let mut log = String::from("userID\titemID\tx_label\n");
        for (label, split) in [&full.train, &full.valid, &full.test].into_iter().enumerate() {
            for u in 0..split.rows() as u32 {
                for &i in split.row(u as usize).iter().filter(|&&i| keep(u, i)) {
                    writeln!(log, "{}\t{}\t{label}", full.users.name(u), full.items.name(i))?;
                }
            }
        }
        let file = self.work.join(format!("{name}.inter"));
        std::fs::write(&file, log)?;
        let ids: Vec<&str> = full.items.names().collect();
        std::fs::write(self.work.join("ids.txt"), ids.join("\n") + "\n")?;
        let mut options = PrepareOptions::new(&file, self.work.join(format!("{name}-data")));
        options.split = SplitKind::Label;
        for f in &full.features {
            let path = self.work.join(format!("{}.npy", f.name));
            write_npy(&path, full.items.len(), f.dim, f.values())?;
            options.features.push((f.name.clone(), path));
            options.feature_ids.push((f.name.clone(), self.work.join("ids.txt")));
        }
        prepare(&options)?;
        let data = Dataset::open(&options.out)?;
        let run = self.work.join(format!("{name}-run"));
        let request = TrainRequest {
            settings: self.settings.clone(),
            seed: self.seed,
            run: Some(&run),
            resume: run.join("run.json").exists(),
            test: false,
            ..TrainRequest::new(&self.model)
        };
        let started = Instant::now();
        let summary = fit(&data, &request, &mut |_| {})?;
        let valid = summary.valid.get("recall@20");
        println!("{name}: {:.0} s, Recall@20 on validation {valid:.4}", started.elapsed().as_secs_f64());
        Ok(Recommender::open(&run)?)
    }

    /// Recall@20 of test items for the users left out.
    fn new_users(&self, out: &HashSet<u32>, whole: &Recommender) -> Outcome<()> {
        let less = self.train("users", &|u, _| !out.contains(&u))?;
        let full = &self.full;
        let mut sums = [0f64; 5];
        let mut count = 0;
        let popular = popularity(&less.run().data);
        let mut list: Vec<u32> = out.iter().copied().filter(|&u| full.test.degree(u as usize) > 0).collect();
        list.sort_unstable();
        for u in list {
            let to = |recommender: &Recommender, items: &[u32]| {
                let known = &recommender.run().data.items;
                let mut ids: Vec<u32> = items.iter().filter_map(|&i| known.get(full.items.name(i))).collect();
                ids.sort_unstable();
                ids
            };
            let (history, wanted) = (full.train.row(u as usize), full.test.row(u as usize));
            let recall = |recommender: &Recommender, list: &[(u32, f32)]| {
                let names: HashSet<&str> =
                    list.iter().map(|&(i, _)| recommender.run().data.items.name(i)).collect();
                let hit = wanted.iter().filter(|&&i| names.contains(full.items.name(i))).count();
                hit as f64 / wanted.len() as f64
            };
            let of = |recommender: &Recommender, user: Option<u32>| -> Outcome<f64> {
                let person = UserHistory { user, history: to(recommender, history) };
                let list = recommender.rank(
                    &PeopleRequest::new(&recommender.vectors(std::slice::from_ref(&person))?, 20)
                        .hiding(&[&person.history]),
                );
                Ok(recall(recommender, &list[0]))
            };
            count += 1;
            sums[0] += of(&less, None)?;
            sums[1] += of(whole, whole.run().data.users.get(full.users.name(u)))?;
            // The row of training thrown away: what of the difference is fold-in, what is items trained with
            // them.
            sums[2] += of(whole, None)?;
            let seen = to(&less, history);
            let rest = popular.iter().filter(|i| seen.binary_search(i).is_err());
            let list: Vec<(u32, f32)> = rest.take(20).map(|&i| (i, 0.0)).collect();
            sums[3] += recall(&less, &list);
            let scores = feature_scores(&less, &seen);
            let mut list: Vec<(u32, f32)> =
                (0u32..).zip(scores).filter(|(i, _)| seen.binary_search(i).is_err()).collect();
            list.sort_by(|a, b| b.1.total_cmp(&a.1));
            list.truncate(20);
            sums[4] += recall(&less, &list);
        }
        println!("\n{count} new users, Recall@20");
        let names =
            ["fold-in", "trained with them", "trained with them, fold-in", "popularity", "items like theirs"];
        for (name, sum) in names.iter().zip(sums) {
            println!("  {name:<28} {:.4}  {:5.1} %", sum / f64::from(count), 100.0 * sum / sums[1]);
        }
        Ok(())
    }

    /// Recall@20 of test items among the items left out.
    fn new_items(&self, out: &HashSet<u32>, whole: &Recommender) -> Outcome<()> {
        let less = self.train("items", &|_, i| !out.contains(&i))?;
        let (full, data) = (&self.full, &less.run().data);
        let mut cold: Vec<u32> = out.iter().copied().collect();
        cold.sort_unstable();
        let placed = cold
            .iter()
            .map(|&i| {
                let i = i as usize;
                let rows = full.features.iter().filter(|f| !f.missing[i]);
                let rows: Vec<(&str, &[f32])> =
                    rows.map(|f| (&*f.name, &f.values()[i * f.dim..(i + 1) * f.dim])).collect();
                less.place_item(&rows).ok()
            })
            .collect::<Vec<_>>();
        let mut sums = [0f64; 5];
        let mut count = 0;
        let mut taken = vec![0u32; full.items.len()];
        full.train.idx().iter().for_each(|&i| taken[i as usize] += 1);
        for u in 0..full.users.len() as u32 {
            let wanted: Vec<u32> =
                full.test.row(u as usize).iter().copied().filter(|i| out.contains(i)).collect();
            let Some(known) = data.users.get(full.users.name(u)).filter(|_| !wanted.is_empty()) else {
                continue;
            };
            count += 1;
            let seen = full.train.row(u as usize);
            let recall = |score: &dyn Fn(usize) -> f32| {
                let mut list: Vec<(u32, f32)> = (0..cold.len())
                    .filter(|&c| !seen.contains(&cold[c]))
                    .map(|c| (cold[c], score(c)))
                    .collect();
                list.sort_by(|a, b| b.1.total_cmp(&a.1));
                let hit = list.iter().take(20).filter(|(i, _)| wanted.contains(i)).count();
                (hit as f64 / wanted.len() as f64, 20.0 / list.len() as f64)
            };
            let person = UserHistory { user: Some(known), history: data.train.row(known as usize).to_vec() };
            let vector = less.vectors(&[person])?.remove(0);
            sums[0] += recall(&|c| placed[c].as_ref().map_or(-1e9, |p| less.score_placed(&vector, p))).0;
            let (items, users) = (&whole.run().data.items, &whole.run().data.users);
            let there = users.get(full.users.name(u)).expect("nobody is missing there");
            sums[1] += recall(&|c| {
                let item = items.get(full.items.name(cold[c]));
                item.map_or(-1e9, |i| whole.run().scorer.score(there, i))
            })
            .0;
            sums[2] += recall(&|c| taken[cold[c] as usize] as f32).0;
            sums[3] += recall(&|c| likeness(full, seen, out, cold[c])).0;
            sums[4] += recall(&|_| 0.0).1;
        }
        println!("\n{} new items, {count} users, Recall@20 among them", cold.len());
        let names = [
            "placed by features",
            "trained with them",
            "popularity, had they been there",
            "like the history",
            "random",
        ];
        for (name, sum) in names.iter().zip(sums) {
            println!("  {name:<32} {:.4}  {:5.1} %", sum / f64::from(count), 100.0 * sum / sums[1]);
        }
        Ok(())
    }
}

/// Items by falling number of takers.
fn popularity(data: &Dataset) -> Vec<u32> {
    let mut taken = vec![0u32; data.items.len()];
    data.train.idx().iter().for_each(|&i| taken[i as usize] += 1);
    let mut order: Vec<u32> = (0..data.items.len() as u32).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(taken[i as usize]));
    order
}

/// For every item the sum over modalities of its cosine with the mean unit row of `history`.
fn feature_scores(recommender: &Recommender, history: &[u32]) -> Vec<f32> {
    let data = &recommender.run().data;
    let mut sums = vec![0f32; data.items.len()];
    for f in &data.features {
        let mut mean = vec![0f32; f.dim];
        for &j in history {
            unit(f.values(), f.dim, j).iter().zip(&mut mean).for_each(|(v, m)| *m += v);
        }
        if let Ok(list) = recommender.nearest(&f.name, &mean, data.items.len()) {
            list.into_iter().for_each(|(i, cosine)| sums[i as usize] += cosine);
        }
    }
    sums
}

/// Sum over modalities and the history's items that were not left out of the cosine with `item`.
fn likeness(data: &Dataset, history: &[u32], out: &HashSet<u32>, item: u32) -> f32 {
    let mut sum = 0.0;
    for f in &data.features {
        let own = unit(f.values(), f.dim, item);
        for &j in history.iter().filter(|j| !out.contains(j)) {
            sum += unit(f.values(), f.dim, j).iter().zip(&own).map(|(a, b)| a * b).sum::<f32>();
        }
    }
    sum
}

fn unit(values: &[f32], dim: usize, item: u32) -> Vec<f32> {
    let row = &values[item as usize * dim..(item as usize + 1) * dim];
    let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    row.iter().map(|v| v / norm).collect()
}

fn write_npy(path: &Path, rows: usize, cols: usize, values: &[f32]) -> Outcome<()> {
    use npyz::WriterBuilder as _;
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new().default_dtype().shape(&[rows as u64, cols as u64]);
    let mut writer = options.writer(&mut bytes).begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()?;
    Ok(std::fs::write(path, bytes)?)
}
