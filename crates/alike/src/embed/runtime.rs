//! ONNX Runtime, loaded from the library that is installed, and models in it.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{TensorElementType, ValueType};

use crate::disk;
use crate::embed::arena;
use crate::{Error, Result};

/// Variable that names the library.
const VARIABLE: &str = "ORT_DYLIB_PATH";
/// Maximum of copies of a model that run at once.
const COPIES: usize = 8;

/// The library, loaded once; an error says how to get it.
fn environment() -> Result<&'static Environment> {
    static LOADED: OnceLock<Result<Environment, String>> = OnceLock::new();
    LOADED.get_or_init(load).as_ref().map_err(|why| Error::Data(why.clone()))
}

fn load() -> Result<Environment, String> {
    let path = library();
    let limit = arena::limit()?;
    let environment = ort::init_from(&path).map_err(|e| e.to_string());
    let environment = environment.and_then(|e| e.build().map_err(|e| e.to_string()));
    let bounded = environment.and_then(|environment| {
        if let Some(bytes) = limit {
            arena::bound(&environment, bytes).map_err(|e| e.to_string())?;
        }
        Ok(environment)
    });
    bounded.map_err(|why| {
        let first = why.lines().next().unwrap_or_default();
        format!(
            "ONNX models need ONNX Runtime 1.17 or newer, which was not found ({first}): install it with `pip install \
             onnxruntime`, or from github.com/microsoft/onnxruntime/releases, and set {VARIABLE} to its library \
             (libonnxruntime.so, libonnxruntime.dylib or onnxruntime.dll)"
        )
    })
}

/// The library as the variable says, that of the active Python environment, or whatever the system finds.
fn library() -> PathBuf {
    if let Some(given) = std::env::var_os(VARIABLE).filter(|v| !v.is_empty()) {
        return given.into();
    }
    let name = format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    std::env::var_os("VIRTUAL_ENV").and_then(|home| in_python(Path::new(&home))).unwrap_or(name.into())
}

fn in_python(home: &Path) -> Option<PathBuf> {
    let start = format!("{}onnxruntime.", std::env::consts::DLL_PREFIX);
    let versions = disk::files_in(&home.join("lib")).ok()?;
    let folders =
        versions.into_iter().map(|v| v.join("site-packages")).chain([home.join("Lib/site-packages")]);
    let files = folders.filter_map(|f| disk::files_in(&f.join("onnxruntime/capi")).ok()).flatten();
    let is_library =
        |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&start));
    files.filter(is_library).max()
}

/// One input: its name and the values, `[1, …]`.
pub(crate) enum Input {
    /// Integers, as token ids.
    Integers(&'static str, Vec<i64>),
    /// Floats of a shape without the leading 1, for the only input.
    Floats([usize; 3], Vec<f32>),
}

/// A loaded model. Every item runs alone on one copy of it, so that its vector does not depend on what else
/// is encoded; copies are made when they are needed.
pub(crate) struct OnnxModel {
    path: PathBuf,
    /// Name of the output that is read.
    output: String,
    /// Names of all outputs.
    outputs: Vec<String>,
    /// Names of the inputs, and whether each takes 32-bit integers.
    inputs: Vec<(String, bool)>,
    free: Mutex<Copies>,
    returned: Condvar,
}

struct Copies {
    idle: Vec<Session>,
    made: usize,
}

impl OnnxModel {
    /// Loads `path`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        disk::open(path)?;
        let session = session(path)?;
        let narrow =
            |kind: &ValueType| matches!(kind, ValueType::Tensor { ty: TensorElementType::Int32, .. });
        Ok(Self {
            path: path.to_path_buf(),
            output: String::new(),
            outputs: session.outputs().iter().map(|o| o.name().to_string()).collect(),
            inputs: session.inputs().iter().map(|i| (i.name().to_string(), narrow(i.dtype()))).collect(),
            free: Mutex::new(Copies { idle: vec![session], made: 1 }),
            returned: Condvar::new(),
        })
    }

    /// Chooses the output: the one that `given` names; otherwise the first of `usual` that is there, or the
    /// only one.
    pub(crate) fn with_output(mut self, given: Option<&str>, usual: &[&str]) -> Result<Self> {
        let has = |name: &&str| self.outputs.iter().any(|o| o == name);
        let found = match given {
            Some(name) => Some(name).filter(has),
            None => usual.iter().copied().find(has).or(match self.outputs.as_slice() {
                [only] => Some(only.as_str()),
                _ => None,
            }),
        };
        let Some(found) = found else {
            let what = given.map_or("no output with a usual name".into(), |o| format!("no output `{o}`"));
            let all = self.outputs.join(", ");
            let message = format!("has {what}; name one (`output` in the TOML file): {all}");
            return Err(Error::format(&self.path, message));
        };
        self.output = found.to_string();
        Ok(self)
    }

    /// Names of the inputs.
    pub(crate) fn inputs(&self) -> Vec<&str> {
        self.inputs.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Runs one item; returns shape and values of the output.
    pub(crate) fn run(&self, given: Vec<Input>) -> Result<(Vec<usize>, Vec<f32>)> {
        let mut session = self.take()?;
        let answer = self.run_on(&mut session, given);
        self.free().idle.push(session);
        self.returned.notify_one();
        answer
    }

    fn run_on(&self, session: &mut Session, given: Vec<Input>) -> Result<(Vec<usize>, Vec<f32>)> {
        let failed = |e: ort::Error| Error::format(&self.path, format!("ONNX Runtime: {}", e.message()));
        let mut inputs: Vec<(&str, SessionInputValue<'_>)> = Vec::new();
        for input in given {
            match input {
                Input::Integers(name, values) => {
                    let Some((_, narrow)) = self.inputs.iter().find(|(n, _)| n == name) else { continue };
                    let shape = [1, values.len()];
                    let value = if *narrow {
                        let values: Vec<i32> = values.into_iter().map(|v| v as i32).collect();
                        ort::value::Tensor::from_array((shape, values)).map_err(failed)?.into()
                    } else {
                        ort::value::Tensor::from_array((shape, values)).map_err(failed)?.into()
                    };
                    inputs.push((name, value));
                }
                Input::Floats([a, b, c], values) => {
                    let value = ort::value::Tensor::from_array(([1, a, b, c], values)).map_err(failed)?;
                    inputs.push((&self.inputs[0].0, value.into()));
                }
            }
        }
        let outputs = session.run(inputs).map_err(|e| match too_large(&e) {
            Some(why) => Error::format(&self.path, why),
            None => failed(e),
        })?;
        let (shape, values) = outputs[self.output.as_str()].try_extract_tensor::<f32>().map_err(failed)?;
        Ok((shape.iter().map(|&n| n as usize).collect(), values.to_vec()))
    }

    fn free(&self) -> MutexGuard<'_, Copies> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy that nobody uses: an idle one, a new one, or the next that comes back.
    fn take(&self) -> Result<Session> {
        let mut copies = self.free();
        loop {
            if let Some(session) = copies.idle.pop() {
                return Ok(session);
            }
            if copies.made < COPIES.min(rayon::current_num_threads()) {
                copies.made += 1;
                drop(copies);
                return session(&self.path).inspect_err(|_| self.free().made -= 1);
            }
            copies = self.returned.wait(copies).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The threads of the program shared by the copies of a model.
fn session(path: &Path) -> Result<Session> {
    let environment = environment()?;
    let threads = (rayon::current_num_threads() / COPIES).max(1);
    let build = || -> ort::Result<Session> {
        let builder = Session::builder(environment)?;
        let builder = builder.with_log_level(LogLevel::Fatal)?.with_intra_threads(threads)?;
        builder.with_env_allocators()?.commit_from_file(path)
    };
    build().map_err(|e| match too_large(&e) {
        Some(why) => Error::format(path, why),
        None => Error::format(path, format!("is no ONNX model that can be run: {}", e.message())),
    })
}

/// What to say where a model wants more memory than there is for it.
fn too_large(error: &ort::Error) -> Option<String> {
    let bytes = arena::limit().ok().flatten()?;
    let limit = bytes >> 20;
    error.message().contains("Available memory of").then(|| {
        format!("wants more memory than the {limit} MiB that all models may take together; allow more by {} (MiB)", arena::VARIABLE)
    })
}
