//! The part that a request has in a test on people.

use serde::Serialize;
use utoipa::ToSchema;

use crate::serve::error::{ApiError, ApiResult};
use crate::serve::extract::id;
use crate::serve::state::App;
use crate::serve::trials::{Arm, Trial};

/// In which arm of a test somebody is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct InTest {
    /// The test.
    name: String,
    /// The arm; null for those outside the test, and where lists are interleaved.
    arm: Option<String>,
}

/// A test, and who takes part in it.
#[derive(Clone, Copy)]
pub(super) struct TestPart<'a> {
    pub(super) trial: &'a Trial,
    pub(super) user: &'a str,
}

impl<'a> TestPart<'a> {
    /// The part that `user` has in the test of that name; none where none is named.
    ///
    /// # Errors
    /// There is no such test, or nobody to be in one of its arms.
    pub(super) fn of(app: &'a App, test: Option<&str>, user: Option<&'a str>) -> ApiResult<Option<Self>> {
        let Some(name) = test else { return Ok(None) };
        let unknown = || ApiError::invalid(format!("`test` is {name}; allowed: {}", app.trials.names()));
        let trial = app.trials.get(name).ok_or_else(unknown)?;
        let nobody = || ApiError::invalid("`test` wants a `user`, who is in one of its arms");
        let user = id("user", user.ok_or_else(nobody)?)?;
        Ok(Some(Self { trial, user }))
    }

    /// The arm that they are in; none outside the test.
    pub(super) fn arm(&self) -> Option<&'a Arm> {
        self.trial.arm(self.user).map(|arm| &self.trial.arms[arm])
    }

    /// Notes that they were shown something of these arms, each with the items that are its own; none where
    /// it is all of it.
    pub(super) async fn note(&self, app: &App, arms: Vec<(String, Vec<String>)>) {
        app.shown.note(&app.store, arms, self.user, &self.trial.name, (app.clock)()).await;
    }

    /// Notes that they were shown something of their arm, and says which that is.
    pub(super) async fn noted(&self, app: &App) -> InTest {
        let arm = self.arm().map(|arm| arm.name.clone());
        if let Some(arm) = &arm {
            self.note(app, vec![(arm.clone(), Vec::new())]).await;
        }
        InTest { arm, ..self.of_no_arm() }
    }

    /// What is said where there is no arm.
    pub(super) fn of_no_arm(&self) -> InTest {
        InTest { name: self.trial.name.clone(), arm: None }
    }
}
