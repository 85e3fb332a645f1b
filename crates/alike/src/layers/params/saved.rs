//! Parameters and optimiser state as plain values, and back.

use alike_ops::AdamState;
use burn::tensor::{Tensor, TensorData};

use super::{Param, Params};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::scorer::matrix;

/// Parameters and Adam moments as plain values, for checkpoints.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// Name of the parameter.
    pub name: String,
    /// Shape, one or two sizes.
    pub shape: Vec<usize>,
    /// Value.
    pub value: Vec<f32>,
    /// First moment; empty before the first step.
    pub m: Vec<f32>,
    /// Second moment; empty before the first step.
    pub v: Vec<f32>,
}

impl Params {
    /// Copies of everything that a resumed run needs.
    pub fn save(&self) -> Vec<Saved> {
        let save = |(i, p): (usize, &Param)| {
            let [m, v] = p.moments.values();
            Saved {
                name: p.name.clone(),
                shape: p.shape.clone(),
                value: matrix(self.value(i)).data.into_vec(),
                m,
                v,
            }
        };
        self.list.iter().enumerate().map(save).collect()
    }

    /// Puts saved values back. Names and shapes must be the same.
    pub fn load(&mut self, saved: &[Saved], step: u64) -> Result<()> {
        let mismatch = |what: String| Error::Data(format!("the checkpoint does not fit the model: {what}"));
        for param in &mut self.list {
            let from = saved
                .iter()
                .find(|s| s.name == param.name)
                .ok_or_else(|| mismatch(format!("no parameter `{}`", param.name)))?;
            if from.shape != param.shape || from.value.len() != param.shape.iter().product::<usize>() {
                let text = format!("`{}` has shape {:?}, expected {:?}", param.name, from.shape, param.shape);
                return Err(mismatch(text));
            }
            let cols = param.shape[param.shape.len() - 1];
            let rows = from.value.len().checked_div(cols).unwrap_or(0);
            let data = TensorData::new(from.value.clone(), [rows, cols]);
            param.value = Some(Tensor::from_data(data, &self.device));
            if from.m.len() != from.v.len() || !(from.m.is_empty() || from.m.len() == from.value.len()) {
                return Err(mismatch(format!("`{}` has moments of another length", param.name)));
            }
            param.moments = AdamState::from_values(from.m.clone(), from.v.clone(), &self.device);
        }
        self.step = step;
        Ok(())
    }

    /// Starts from what a run on other data ended with: rows of tables go to the users and items of the same
    /// id, other parameters to those of the same name. What is new keeps its start. Returns how many values
    /// were taken over.
    ///
    /// # Errors
    /// A parameter has another width or shape there.
    pub fn load_matching(&mut self, saved: &[Saved], from: &Dataset, data: &Dataset) -> Result<usize> {
        let mut taken = 0;
        for at in 0..self.list.len() {
            let name = &self.list[at].name;
            let Some(old) = saved.iter().find(|s| s.name == *name) else { continue };
            let param = &self.list[at];
            let cols = param.shape[param.shape.len() - 1];
            let same = match param.rows {
                Some(_) => old.shape.len() == 2 && old.shape[1] == cols,
                None => old.shape == param.shape,
            };
            if !same || old.value.len() != old.shape.iter().product::<usize>() {
                return Err(Error::Data(format!(
                    "cannot start from that run: its parameter `{name}` has shape {:?}, not {:?}",
                    old.shape, param.shape
                )));
            }
            let value = match param.rows {
                None => {
                    taken += old.value.len();
                    old.value.clone()
                }
                Some(rows) => {
                    let mut value = matrix(self.value(at)).data.into_vec();
                    let places = (0u32..).zip(value.chunks_exact_mut(cols));
                    for (place, row) in places {
                        if let Some(other) = rows.place(place, data, from) {
                            let other = other as usize * cols;
                            row.copy_from_slice(&old.value[other..other + cols]);
                            taken += cols;
                        }
                    }
                    value
                }
            };
            let rows = value.len().checked_div(cols).unwrap_or(0);
            self.list[at].value = Some(Tensor::from_data(TensorData::new(value, [rows, cols]), &self.device));
        }
        Ok(taken)
    }
}
