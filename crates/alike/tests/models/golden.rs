//! Models against numbers of an independent implementation, see `golden/README.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::npy::write_npy;
use alike::data::{Dataset, PrepareOptions, SplitKind, prepare};
use alike::ids::{ItemId, UserId};
use alike::layers::{Batch, Negatives, Saved};
use alike::models::{self, Learner};
use alike::scorer::Scorer;
use alike_ops::Adam;
use burn::tensor::{Device, Tensor};
use safetensors::SafeTensors;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    case: String,
    model: String,
    settings: toml::Table,
    users: usize,
    items: usize,
    train: Vec<Vec<u32>>,
    batches: Vec<Vec<[u32; 3]>>,
    /// Dropout masks of each step, in the order in which the model asks for them.
    #[serde(default)]
    masks: Vec<Vec<Vec<f32>>>,
    losses: Vec<f64>,
    adam: Constants,
}

#[derive(Deserialize)]
struct Constants {
    lr: f32,
    beta1: f32,
    beta2: f32,
    eps: f32,
}

type Arrays = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn arrays(path: &Path) -> Arrays {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let read = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        (name, (view.shape().to_vec(), values))
    };
    file.tensors().into_iter().map(read).collect()
}

/// The case's data with its features.
fn data(case: &Case, arrays: &Arrays, dir: &Path) -> Dataset {
    let mut features = Vec::new();
    for (name, (shape, values)) in arrays.iter().filter_map(|(n, a)| Some((n.strip_prefix("feature/")?, a))) {
        let file = dir.join(format!("{name}.npy"));
        write_npy(&file, shape[0], shape[1], values);
        features.push((name.to_string(), file));
    }
    let data = prepared(&case.train, case.items, features, dir);
    assert_eq!((data.users.len(), data.items.len()), (case.users, case.items));
    data
}

/// Data prepared as a user would: interactions of the train split, one more for each held-out split.
pub(crate) fn prepared(
    train: &[Vec<u32>],
    items: usize,
    features: Vec<(String, PathBuf)>,
    dir: &Path,
) -> Dataset {
    let mut inter = String::from("userID\titemID\tx_label\n");
    for (u, row) in train.iter().enumerate() {
        row.iter().for_each(|i| inter.push_str(&format!("{u}\t{i}\t0\n")));
    }
    // Held-out items that the user did not take: every item then occurs.
    for (u, label) in [(0usize, 1), (1, 2)] {
        let free = (0..items as u32).rev().find(|i| !train[u].contains(i)).unwrap();
        inter.push_str(&format!("{u}\t{free}\t{label}\n"));
    }
    let (path, out) = (dir.join("case.inter"), dir.join("data"));
    std::fs::write(&path, inter).unwrap();
    prepare(&PrepareOptions { features, split: SplitKind::Label, ..PrepareOptions::new(&path, &out) })
        .unwrap();
    Dataset::open(&out).unwrap()
}

fn values(t: Tensor<2>) -> Vec<f32> {
    t.into_data().try_into_vec::<f32>().unwrap()
}

fn close(case: &str, what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{case}: {what}");
    let largest = expected.iter().fold(0f32, |a, v| a.max(v.abs()));
    for (k, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= tolerance * (1e-2 + largest), "{case}: {what}[{k}] is {f}, expected {e}");
    }
}

fn check(case: &Case, arrays: &Arrays) {
    let name = &case.case;
    let dir = tempfile::tempdir().unwrap();
    let data = data(case, arrays, dir.path());
    let device = Device::flex();
    let learner = models::build(&case.model, &data, &case.settings, 1, &device).unwrap();
    let Learner::Gradient(mut model) = learner else { panic!("{name}: not a gradient model") };
    let wanted = |kind: &str, p: &str| &arrays[&format!("{kind}/{p}")];
    let names: Vec<String> = model.params().names().map(String::from).collect();
    let given = arrays.keys().filter(|k| k.starts_with("init/")).count();
    assert_eq!(names.len(), given, "{name}: parameters {names:?}");
    let init: Vec<Saved> = names
        .iter()
        .map(|p| {
            let (shape, value) = wanted("init", p).clone();
            Saved { name: p.clone(), shape, value, m: Vec::new(), v: Vec::new() }
        })
        .collect();
    model.params_mut().load(&init, 0).unwrap();
    model.start_epoch(1).unwrap();
    let z = values(model.vectors().unwrap());
    close(name, "final", &z, &arrays["final"].1, 1e-5);
    let Constants { lr, beta1, beta2, eps } = case.adam;
    for (step, batch) in case.batches.iter().enumerate() {
        let negatives = match model.sampling().negatives {
            Negatives::None => Vec::new(),
            _ => batch.iter().map(|t| ItemId(t[2])).collect(),
        };
        let batch = Batch {
            users: batch.iter().map(|t| UserId(t[0])).collect(),
            positives: batch.iter().map(|t| ItemId(t[1])).collect(),
            negatives,
        };
        let masks = case.masks.get(step).cloned().unwrap_or_default();
        let tracked = model.params().with_grad();
        let loss = model.loss(&tracked, &model.step(batch, 1, step).with_masks(masks));
        let value = f64::from(loss.clone().inner().into_scalar::<f32>());
        assert!(
            (value - case.losses[step]).abs() < 1e-5,
            "{name}: loss {step} is {value}, {}",
            case.losses[step]
        );
        let grads = loss.backward();
        drop(loss);
        if step == 0 {
            for (p, leaf) in names.iter().zip(tracked.tensors()) {
                let (_, expected) = wanted("grad", p);
                let found = leaf.grad(&grads).map_or(vec![0.0; expected.len()], values);
                close(name, &format!("gradient of {p}"), &found, expected, 2e-5);
            }
        }
        model.params_mut().step(tracked, grads, &Adam { lr, beta1, beta2, eps });
    }
    for saved in model.params().save() {
        close(
            name,
            &format!("{} after five steps", saved.name),
            &saved.value,
            &wanted("after", &saved.name).1,
            1e-4,
        );
    }
}

#[test]
fn models_agree_with_an_independent_implementation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut checked = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for path in files.iter().filter(|p| p.extension().is_some_and(|e| e == "safetensors")) {
        let case: Case =
            serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap();
        check(&case, &arrays(path));
        checked.push(case.model);
    }
    for model in models::all().iter().filter(|m| m.settings().iter().any(|s| s.name == "lr")) {
        assert!(checked.iter().any(|c| c == model.name), "no golden numbers for {}", model.name);
    }
}

#[derive(Deserialize)]
struct ItemItemCases {
    items: usize,
    train: Vec<Vec<u32>>,
    /// Rows per modality, zero where an item has none.
    #[serde(default)]
    features: BTreeMap<String, Vec<Vec<f32>>>,
    cases: Vec<ItemItemCase>,
}

#[derive(Deserialize)]
struct ItemItemCase {
    model: String,
    settings: toml::Table,
    /// Row `j`, column `i`: what item `j` gives to item `i`.
    weights: Vec<Vec<f32>>,
}

/// `slim.json` is of scikit-learn, `item_item.json` of NumPy.
#[test]
fn weights_between_items_agree_with_other_libraries() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for file in ["slim.json", "item_item.json"] {
        let all: ItemItemCases = serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let features = all.features.iter().map(|(name, rows)| {
            let file = dir.path().join(format!("{name}.npy"));
            write_npy(&file, rows.len(), rows[0].len(), &rows.concat());
            (name.clone(), file)
        });
        let data = prepared(&all.train, all.items, features.collect(), dir.path());
        for ItemItemCase { model, settings, weights } in all.cases {
            let learner = models::build(&model, &data, &settings, 1, &Device::flex()).unwrap();
            let Learner::Direct(solver) = learner else { panic!("{model} is solved at once") };
            let Scorer::ItemItem(found) = solver(&data, &()).unwrap() else {
                panic!("{model} gives weights between items")
            };
            let mut some = 0;
            for (j, row) in weights.iter().enumerate() {
                for (i, &wanted) in row.iter().enumerate() {
                    let weight = found.weight(j as u32, i as u32);
                    assert!(
                        (weight - wanted).abs() < 1e-5,
                        "{model} {settings:?}: w[{j}, {i}] is {weight}, expected {wanted}"
                    );
                    some += usize::from(wanted != 0.0);
                }
            }
            assert!(some > 5, "a case with weights");
        }
    }
}
