//! What the routes share: models, store, places, pools.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::encoder::Encoder;
use super::error::{ApiError, ApiResult};
use super::keys::KeyRing;
use super::limits::Limits;
use super::listen::tls::Tls;
use super::metrics::Metrics;
pub(crate) use super::model::Which;
use super::model::{ModelSnapshot, ReloadableModel};
use super::origin::Origins;
use super::people::{self, UserState};
use super::places::Places;
use super::pool::Pool;
use super::ranking::Ranking;
use super::rate::Rate;
use super::scenarios::{EventCounts, Scenarios};
use super::store::{Store, StoreError};
use super::trials::{ShownTo, Trials};

/// What the routes share.
pub(crate) struct App {
    /// The run that answers.
    pub(crate) main: ReloadableModel,
    /// Another one to compare it with.
    pub(crate) compare: Option<ReloadableModel>,
    /// Events.
    pub(crate) store: Store,
    /// The thread that ranks.
    pub(crate) ranking: Ranking,
    /// How often items were taken.
    pub(crate) counts: EventCounts,
    /// Lists by name.
    pub(crate) scenarios: Scenarios,
    /// Tests on the people who come.
    pub(crate) trials: Trials,
    /// Who was shown what of them.
    pub(crate) shown: ShownTo,
    /// Counts.
    pub(crate) metrics: Arc<Metrics>,
    /// What turns texts and pictures into features.
    pub(crate) encoder: Option<Arc<dyn Encoder>>,
    /// The keys that are asked for, if any.
    pub(crate) keys: KeyRing,
    /// From where browsers may ask.
    pub(crate) origins: Origins,
    /// What encrypts connections, if anything does.
    pub(crate) tls: Option<Tls>,
    /// How often one client may ask, if that is bounded.
    pub(crate) rate: Option<Rate>,
    /// What clients can take at most.
    pub(crate) limits: Limits,
    /// Milliseconds since 1970.
    pub(crate) clock: fn() -> i64,
    /// Places for requests.
    pub(crate) requests: Arc<Places>,
    /// Places for requests whose body is on its way.
    pub(crate) bodies: Arc<Places>,
    /// Work that takes a processor for some time.
    pub(crate) work: Pool,
    /// Work that takes it for long.
    pub(crate) long: Pool,
    /// Pictures, which also take memory.
    pub(crate) pictures: Pool,
    /// False once the server has begun to stop.
    ready: AtomicBool,
    /// Requests so far.
    numbered: AtomicU64,
    /// Tells the request numbers of this process from those of others.
    process: String,
}

impl App {
    /// Puts the parts together.
    pub(crate) fn new(main: ReloadableModel, store: Store, limits: Limits) -> std::io::Result<Self> {
        let metrics = Arc::new(Metrics::new());
        metrics.model_version.set(main.current().version as i64);
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Self {
            main,
            compare: None,
            store,
            ranking: Ranking::start(metrics.clone())?,
            counts: EventCounts::default(),
            scenarios: Scenarios::default(),
            trials: Trials::default(),
            shown: ShownTo::default(),
            encoder: None,
            keys: KeyRing::default(),
            origins: Origins::default(),
            rate: None,
            tls: None,
            requests: Places::new(limits.requests, limits.requests_of_one),
            bodies: Places::new(limits.bodies, limits.bodies_of_one),
            work: Pool::new(cores, limits.waiting, metrics.panics.clone()),
            long: Pool::new(cores.div_ceil(2), limits.waiting_long, metrics.panics.clone()),
            pictures: Pool::new(cores.div_ceil(2).min(2), limits.waiting_pictures, metrics.panics.clone()),
            limits,
            clock: system_clock,
            ready: AtomicBool::new(true),
            numbered: AtomicU64::new(0),
            process: process(),
            metrics,
        })
    }

    /// The checkpoint that answers for `which`.
    pub(crate) fn model(&self, which: Which) -> ApiResult<Arc<ModelSnapshot>> {
        match (which, &self.compare) {
            (Which::Main, _) => Ok(self.main.current()),
            (Which::Compare, Some(slot)) => Ok(slot.current()),
            (Which::Compare, None) => {
                Err(ApiError::invalid("`model` is compare; allowed: main (this server has no second model)"))
            }
        }
    }

    /// Who `user` is now.
    pub(crate) async fn user(&self, model: &ModelSnapshot, user: &str) -> ApiResult<UserState> {
        let events = self.store.of_user(user).await?;
        people::user_state(model, user, &events).ok_or_else(|| ApiError::unknown_user(user))
    }

    /// Loads newer checkpoints, brings their items up to date and puts them in place; whether the main one
    /// changed.
    pub(crate) async fn refresh(self: &Arc<Self>) -> alike::Result<bool> {
        let done = self.refresh_all().await;
        if done.is_err() {
            self.metrics.failed_loads.inc();
        }
        done
    }

    async fn refresh_all(self: &Arc<Self>) -> alike::Result<bool> {
        if self.compare.is_some() {
            self.refresh_one(Which::Compare).await?;
        }
        let changed = self.refresh_one(Which::Main).await?;
        if changed {
            let version = self.main.current().version;
            self.metrics.swaps.inc();
            self.metrics.model_version.set(version as i64);
            tracing::info!(version, "a newer checkpoint answers");
        }
        Ok(changed)
    }

    async fn refresh_one(self: &Arc<Self>, which: Which) -> alike::Result<bool> {
        let failed =
            |e: &dyn std::fmt::Display| alike::Error::Data(format!("loading a checkpoint failed: {e}"));
        let slot = match (which, &self.compare) {
            (Which::Compare, Some(slot)) => slot,
            _ => &self.main,
        };
        let _one = slot.loading.lock().await;
        let app = self.clone();
        let load = move || match (which, &app.compare) {
            (Which::Compare, Some(slot)) => slot.newer(),
            _ => app.main.newer(),
        };
        let Some(next) = tokio::task::spawn_blocking(load).await.unwrap_or_else(|e| Err(failed(&e)))? else {
            return Ok(false);
        };
        self.sync_items(&next).await.map_err(|e| failed(&e))?;
        self.place_items(&next).await;
        slot.replace(next.clone());
        // What was said between reading and now went to the other one.
        self.sync_items(&next).await.map_err(|e| failed(&e))?;
        Ok(true)
    }

    /// Takes over what was said of items since this was done last, in every model that answers.
    pub(crate) async fn sync_all(self: &Arc<Self>) -> Result<(), StoreError> {
        for model in self.models() {
            self.sync_items(&model).await?;
        }
        Ok(())
    }

    /// Places the new items that wait for it, in every model that answers.
    pub(crate) async fn place_all(self: &Arc<Self>) {
        for model in self.models() {
            self.place_items(&model).await;
        }
    }

    /// Whether new items wait for a place and nobody is at it.
    pub(crate) fn has_unplaced(&self) -> bool {
        let waits =
            |model: &Arc<ModelSnapshot>| model.shelf.has_unplaced() && model.shelf.placing.try_lock().is_ok();
        self.models().iter().any(waits)
    }

    fn models(&self) -> Vec<Arc<ModelSnapshot>> {
        let compare = self.compare.iter().map(ReloadableModel::current);
        compare.chain([self.main.current()]).collect()
    }

    /// In a task of its own: a client who goes away while it runs leaves nothing half-done.
    async fn sync_items(self: &Arc<Self>, model: &Arc<ModelSnapshot>) -> Result<(), StoreError> {
        let (app, model) = (self.clone(), model.clone());
        let work = async move {
            let _one = model.shelf.syncing.clone().lock_owned().await;
            loop {
                let rows = app.store.items_after(model.shelf.seq()).await?;
                if rows.is_empty() {
                    return Ok(());
                }
                let (of_it, now) = (model.clone(), (app.clock)());
                let applied = tokio::task::spawn_blocking(move || of_it.shelf.apply(rows, now)).await;
                applied.map_err(|e| StoreError::Failed(e.to_string()))?;
            }
        };
        tokio::spawn(work).await.unwrap_or_else(|e| Err(StoreError::Failed(e.to_string())))
    }

    async fn place_items(self: &Arc<Self>, model: &Arc<ModelSnapshot>) {
        let (app, model) = (self.clone(), model.clone());
        let work = async move {
            let one = model.shelf.placing.clone().lock_owned().await;
            let encoder = app.encoder.clone();
            let placed = tokio::task::spawn_blocking(move || {
                model.shelf.place_new(encoder.as_deref());
                drop(one);
            });
            if placed.await.is_err() {
                tracing::error!("placing new items failed");
            }
        };
        // A bug in placing is told of above.
        tokio::spawn(work).await.unwrap_or_default();
    }

    /// A number for a request.
    pub(crate) fn next_request(&self) -> String {
        format!("{}-{}", self.process, self.numbered.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether requests are welcome.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// From now on load balancers are told to go elsewhere.
    pub(crate) fn stopping(&self) {
        self.ready.store(false, Ordering::Relaxed);
    }
}

fn system_clock() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |passed| passed.as_millis() as i64)
}

/// Eight digits that differ from one process to the next.
fn process() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let hash = blake3::hash(format!("{} {}", now.as_nanos(), std::process::id()).as_bytes());
    hash.to_hex()[..8].to_string()
}
