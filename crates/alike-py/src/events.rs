//! What happens while a model trains, as Python's callbacks get it.

use std::time::{Duration, Instant};

use alike::train::TrainEvent;
use serde_json::{Value, json};

use crate::threads::Speaker;

/// Least time between two notes of batches.
const BETWEEN: Duration = Duration::from_millis(100);

/// Says what happens; batches now and then only.
pub(crate) struct Narrator<'a> {
    speaker: &'a Speaker,
    said: Instant,
}

impl<'a> Narrator<'a> {
    pub(crate) fn new(speaker: &'a Speaker) -> Self {
        Self { speaker, said: Instant::now() }
    }

    pub(crate) fn tell(&mut self, event: &TrainEvent<'_>) {
        if matches!(event, TrainEvent::Batch { .. }) && self.said.elapsed() < BETWEEN {
            return;
        }
        let (name, what) = described(event);
        self.speaker.say(name, what.to_string());
        self.said = Instant::now();
    }
}

fn described(event: &TrainEvent<'_>) -> (&'static str, Value) {
    match event {
        TrainEvent::Planned { parameters, memory_bytes, epochs, batches, devices } => (
            "planned",
            json!({
                "parameters": parameters, "memory_bytes": memory_bytes, "epochs": epochs, "batches": batches,
                "devices": devices,
            }),
        ),
        TrainEvent::Batch { epoch, batch, batches, loss } => {
            ("batch", json!({ "epoch": epoch, "batch": batch, "batches": batches, "loss": loss }))
        }
        TrainEvent::Epoch { record, expected_end } => {
            let mut record = json!(record);
            record["expected_end"] = json!(expected_end);
            ("epoch", record)
        }
        TrainEvent::Finished(summary) => ("finished", json!(summary)),
    }
}
