//! Ten steps of every model on a graphics processor against ten on the processor.

use alike::device::{DeviceKind, DeviceName};
use alike::layers::{Sampler, Saved};
use alike::models::{self, GradientModel, Learner};
use alike::scorer::Ranks;
use alike::train::{TrainEvent, TrainRequest, fit};
use alike_ops::{Adam, wgpu_devices};
use burn::tensor::{Device, DeviceType};

use crate::conformance::request;
use crate::replicas::check;
use crate::support::checkerboard;

/// The first graphics processor that there is; without one the test says so and passes.
fn device() -> Option<Device> {
    let kinds = [DeviceKind::Cuda, DeviceKind::Metal, DeviceKind::Vulkan, DeviceKind::Wgpu];
    let found = kinds.into_iter().find_map(|kind| DeviceName { kind, index: 0 }.open().ok());
    if found.is_none() {
        crate::skipped::skipped("device", "there is no graphics device");
    }
    found
}

/// Losses of ten steps, and the parameters before and after.
struct Steps {
    losses: Vec<f32>,
    before: Vec<Saved>,
    after: Vec<Saved>,
    model: GradientModel,
}

fn distance<'a>(a: impl Iterator<Item = &'a f32>, b: impl Iterator<Item = &'a f32>) -> f64 {
    a.zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn ten_steps_of_every_model_are_the_same_on_a_graphics_processor() {
    let Some(device) = device() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = checkerboard(folder.path());
    for info in models::all() {
        let steps = |device: &Device| -> Option<Steps> {
            let settings = request(info.name).settings;
            let built = models::build(info.name, &data, &settings, 7, device).unwrap();
            let Learner::Gradient(mut model) = built else { return None };
            let before = model.params().save();
            model.start_epoch(1).unwrap();
            let mut losses = Vec::new();
            let sampler = Sampler::new(data.train.clone(), None, 7, model.sampling()).unwrap();
            for (at, batch) in sampler.epoch(1, 64).take(10).enumerate() {
                let tracked = model.params().with_grad();
                let loss = model.loss(&tracked, &model.step(batch, 1, at));
                losses.push(loss.clone().inner().into_scalar::<f32>());
                model.params_mut().step(tracked, loss.backward(), &Adam { lr: 0.005, ..Adam::default() });
            }
            Some(Steps { losses, before, after: model.params().save(), model })
        };
        let (Some(wanted), Some(found)) = (steps(&Device::flex()), steps(&device)) else { continue };
        assert_eq!(wanted.losses.len(), 10, "{}", info.name);
        for (step, (w, f)) in wanted.losses.iter().zip(&found.losses).enumerate() {
            assert!((w - f).abs() <= 1e-4 * (1.0 + w.abs()), "{}, step {step}: loss {w} and {f}", info.name);
        }
        let again = steps(&device).unwrap();
        assert_eq!(found.losses, again.losses, "{}: another run, other losses", info.name);
        assert_eq!(found.after, again.after, "{}: another run, other parameters", info.name);
        let values = |saved: &[Saved]| saved.iter().flat_map(|s| s.value.clone()).collect::<Vec<f32>>();
        let [start, w, f] = [&wanted.before, &wanted.after, &found.after].map(|saved| values(saved));
        let moved = distance(start.iter(), w.iter());
        let apart = distance(w.iter(), f.iter());
        assert!(moved > 0.0 && apart <= 0.01 * moved, "{}: moved {moved}, apart {apart}", info.name);

        // Lists agree but where scores are all but equal.
        let users: Vec<u32> = (0..data.users.len() as u32).collect();
        let list =
            |s: &Steps| s.model.device_scorer().unwrap().rank(&users, Some(&data.train), None, 10).unwrap();
        let (w, f) = (list(&wanted), list(&found));
        for (place, (a, b)) in w.scores.iter().zip(&f.scores).enumerate() {
            let same = a == b || (a - b).abs() <= 2e-3 * (1.0 + a.abs());
            assert!(same, "{}, place {place}: score {a} and {b}", info.name);
        }
        // Read and put back, it ranks the same.
        let back = found.model.scorer().unwrap().to_device(&device).unwrap();
        assert_eq!(back.rank(&users, Some(&data.train), None, 10).unwrap(), f, "{}", info.name);
    }
}

/// On the one adapter of a machine two devices that know nothing of each other: by the system's own
/// interface, and by any.
#[test]
fn two_graphics_devices_train_as_one() {
    let own = wgpu_devices().into_iter().next();
    let any = Device::enumerate(DeviceType::Wgpu).into_vec().into_iter().next();
    let (Some(own), Some(any)) = (own, any) else {
        crate::skipped::skipped("device", "there is no graphics device");
        return;
    };
    assert_ne!(own, any);
    let folder = tempfile::tempdir().unwrap();
    let data = checkerboard(folder.path());
    // One that draws a graph per epoch and one of NSMAR+ beside the plain ones.
    for model in ["bpr", "lightgcn", "freedom", "nsmar+"] {
        check(model, &data, &[own.clone(), any.clone()]);
    }
}

/// A whole run: the same metrics as on the processor, to the digits that a list's order decides.
#[test]
fn a_run_on_a_graphics_device_is_scored_there() {
    if device().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = checkerboard(folder.path());
    let kind = if DeviceKind::Cuda.is_built() { DeviceKind::Cuda } else { DeviceKind::Wgpu };
    let run = folder.path().join("run");
    for model in ["slim", "lightgcn", "nsmar+"] {
        let there = TrainRequest { devices: vec![DeviceName { kind, index: 0 }], ..request(model) };
        let mut names = Vec::new();
        let found = fit(&data, &TrainRequest { run: Some(&run), ..there }, &mut |event| {
            if let TrainEvent::Planned { devices, .. } = event {
                names = devices.to_vec();
            }
        })
        .unwrap();
        let wanted = fit(&data, &request(model), &mut |_| {}).unwrap();
        // What is solved at once is solved by the processor.
        assert_eq!(names.len(), usize::from(model != "slim"), "{names:?}");
        for (name, value) in &wanted.test_clean.0 {
            let other = found.test_clean.get(name);
            assert!((value - other).abs() < 0.02, "{model}: {name} is {value} and {other}");
        }
        std::fs::remove_dir_all(&run).unwrap();
    }
}
