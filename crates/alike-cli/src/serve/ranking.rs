//! One thread that ranks. Requests that wait are ranked together: a sweep over the items serves several
//! people at little more than the price of one.

use std::sync::Arc;
use std::thread::JoinHandle;

use alike::recommend::{PeopleRequest, UserHistory, UserVector};
use rayon::prelude::*;
use tokio::sync::{mpsc, oneshot};

use super::error::{ApiError, ApiResult};
use super::filter::Filter;
use super::metrics::Metrics;
use super::model::ModelSnapshot;

/// Requests that may wait.
const WAITING: usize = 1024;
/// Requests that are ranked together at most.
const BATCH: usize = 64;

/// Somebody to rank for.
pub(crate) struct RankRequest {
    /// By which checkpoint.
    pub(crate) model: Arc<ModelSnapshot>,
    /// For whom.
    pub(crate) person: UserHistory,
    /// Which items.
    pub(crate) filter: Filter,
}

type RankResult = alike::Result<Vec<(u32, f32)>>;

struct RankJob {
    request: RankRequest,
    reply: oneshot::Sender<RankResult>,
}

/// Where requests are handed in.
pub(crate) struct Ranking {
    queue: Option<mpsc::Sender<RankJob>>,
    thread: Option<JoinHandle<()>>,
    metrics: Arc<Metrics>,
}

impl Ranking {
    /// Starts the thread.
    pub(crate) fn start(metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let (queue, mut jobs) = mpsc::channel::<RankJob>(WAITING);
        let counts = metrics.clone();
        let thread = std::thread::Builder::new().name("ranking".into()).spawn(move || {
            while let Some(first) = jobs.blocking_recv() {
                let mut batch = vec![first];
                while batch.len() < BATCH {
                    let Ok(job) = jobs.try_recv() else { break };
                    batch.push(job);
                }
                counts.rank_queue.dec_by(batch.len() as i64);
                // Nobody waits for the answer any more when the client has gone.
                batch.retain(|job| !job.reply.is_closed());
                counts.rank_batch.observe(batch.len() as f64);
                // A bug in one answer must not end all later ones; those who wait are told by the closed
                // channel.
                let work = std::panic::AssertUnwindSafe(|| rank(batch, &counts));
                if std::panic::catch_unwind(work).is_err() {
                    counts.panics.inc();
                }
            }
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), metrics })
    }

    /// The best items, best first.
    pub(crate) async fn rank(&self, request: RankRequest) -> ApiResult<Vec<(u32, f32)>> {
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().expect("the queue is there until the server ends");
        self.metrics.rank_queue.inc();
        if queue.try_send(RankJob { request, reply }).is_err() {
            self.metrics.rank_queue.dec();
            return Err(ApiError::busy());
        }
        let ranked = answer.await.map_err(|_| ApiError::internal("the ranking thread gave no answer"))?;
        Ok(ranked?)
    }
}

impl Drop for Ranking {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Ranks a batch; requests of one checkpoint and one number of items go together.
fn rank(mut batch: Vec<RankJob>, counts: &Metrics) {
    while let Some(first) = batch.first() {
        let model = first.request.model.clone();
        let (same, rest) = batch.into_iter().partition(|job| Arc::ptr_eq(&job.request.model, &model));
        batch = rest;
        rank_by(&model, same, counts);
    }
}

fn rank_by(model: &ModelSnapshot, mut jobs: Vec<RankJob>, counts: &Metrics) {
    let people: Vec<UserHistory> = jobs.iter().map(|job| job.request.person.clone()).collect();
    let vectors = match model.recommender.vectors(&people) {
        Ok(vectors) => vectors,
        Err(error) => {
            // What is wrong with one of them is not the others' fault.
            match jobs.len() {
                1 => {
                    let job = jobs.into_iter().next().expect("one request");
                    drop(job.reply.send(Err(error)));
                }
                _ => jobs.into_iter().for_each(|job| rank_by(model, vec![job], counts)),
            }
            return;
        }
    };
    jobs.par_iter_mut().zip(&vectors).for_each(|(job, vector)| {
        let filter = &mut job.request.filter;
        filter.narrow(model.index.candidates(filter, &model.recommender, vector));
    });
    let mut whole: Vec<(RankJob, UserVector)> = Vec::new();
    for (job, vector) in jobs.into_iter().zip(vectors) {
        let filter = &job.request.filter;
        counts.ranked(filter.candidates.is_some());
        match filter.candidates.clone().or_else(|| few(filter, model)) {
            Some(items) => {
                let (person, hidden) = ([vector], [known(filter, model)]);
                let request = PeopleRequest::new(&person, filter.top).hiding(&hidden).among(&items);
                let list = model.recommender.rank(&request).remove(0);
                let list = model.shelf.mixed(list, &person[0], filter);
                drop(job.reply.send(Ok(list)));
            }
            None => whole.push((job, vector)),
        }
    }
    let Some(most) = whole.iter().map(|(job, _)| job.request.filter.top).max() else { return };
    let (jobs, vectors): (Vec<RankJob>, Vec<UserVector>) = whole.into_iter().unzip();
    let hidden: Vec<&[u32]> = jobs.iter().map(|job| known(&job.request.filter, model)).collect();
    let within: Vec<_> = jobs.iter().map(|job| job.request.filter.within.clone()).collect();
    let request = PeopleRequest::new(&vectors, most).hiding(&hidden).within(&within);
    let lists = model.recommender.rank(&request);
    for ((job, vector), mut list) in jobs.into_iter().zip(&vectors).zip(lists) {
        list.truncate(job.request.filter.top);
        list.retain(|(_, score)| !score.is_nan());
        let list = model.shelf.mixed(list, vector, &job.request.filter);
        drop(job.reply.send(Ok(list)));
    }
}

/// How many times more items than are allowed there must be, so that scoring these one by one costs less than
/// one sweep over all.
const SPARSE: usize = 8;

/// The hidden items that the model knows.
fn known<'a>(filter: &'a Filter, model: &ModelSnapshot) -> &'a [u32] {
    let trained = model.shelf.trained();
    &filter.hidden[..filter.hidden.partition_point(|&item| item < trained)]
}

/// The items that a filter allows, where they are few.
fn few(filter: &Filter, model: &ModelSnapshot) -> Option<Vec<u32>> {
    let trained = model.shelf.trained();
    let set = filter.within.as_ref().filter(|set| set.len() * SPARSE <= trained as usize)?;
    Some(set.iter().take_while(|&item| item < trained).collect())
}
