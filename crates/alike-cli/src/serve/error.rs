//! What is answered when a request cannot be served.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::{RefOr, ResponseBuilder, content::ContentBuilder, schema::Ref};
use utoipa::{IntoResponses, ToSchema};

use super::store::StoreError;

/// An error as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What went wrong.
    pub(crate) error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorDetail {
    /// A word for programs, which stays the same.
    #[schema(example = "unknown_user")]
    pub(crate) code: &'static str,
    /// A sentence for people: what was found, what is allowed.
    pub(crate) message: String,
}

/// A request that is not served.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// What the client is told in a header.
    header: Option<(HeaderName, String)>,
}

/// Result of a route.
pub(crate) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// With this status, code and text.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), header: None }
    }

    /// The same with a header.
    pub(crate) fn with_header(self, name: HeaderName, value: impl Into<String>) -> Self {
        Self { header: Some((name, value.into())), ..self }
    }

    /// 404: nobody knows this user.
    pub(crate) fn unknown_user(user: &str) -> Self {
        let text = format!(
            "unknown user `{user}`: the model was not trained on them and there are no events of theirs"
        );
        Self::new(StatusCode::NOT_FOUND, "unknown_user", text)
    }

    /// 404: the catalogue has no such item.
    pub(crate) fn unknown_item(item: &str) -> Self {
        let text = format!("unknown item `{item}`: not in the data of this model");
        Self::new(StatusCode::NOT_FOUND, "unknown_item", text)
    }

    /// 422: understood, but not allowed.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
    }

    /// 503: too much waits already.
    pub(crate) fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many requests wait; try again later")
    }

    /// 500: our fault; the log knows more.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed; its log says why")
    }

    /// The sentence for people.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn rejected(status: StatusCode, message: String) -> Self {
        let code = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "media_type",
            StatusCode::UNPROCESSABLE_ENTITY => "invalid",
            _ => "malformed",
        };
        Self::new(status, code, message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, code, message, header } = self;
        let body = Json(ErrorBody { error: ErrorDetail { code, message } });
        (status, header.map(|header| [header]), body).into_response()
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let unavailable = |code, text: &str| Self::new(StatusCode::SERVICE_UNAVAILABLE, code, text);
        if !matches!(error, StoreError::Busy) {
            tracing::error!(cause = %error, "the store failed");
        }
        match error {
            StoreError::Busy => Self::busy(),
            StoreError::Failed(_) => unavailable(
                "store",
                "the store of events cannot be reached or written to; nothing was written",
            ),
            StoreError::Moved(_) => unavailable(
                "store",
                "the store's file was moved, replaced or deleted while the server ran; nothing was written. Put it \
                 back, or start the server again",
            ),
            StoreError::Unsure(_) => unavailable(
                "store_unsure",
                "the store of events was lost while it wrote: the events may or may not have been written. Send them \
                 again with the same `key`s",
            ),
        }
    }
}

/// Errors of the library: what a client can mend is 422.
impl From<alike::Error> for ApiError {
    fn from(error: alike::Error) -> Self {
        match error {
            alike::Error::UnknownItem(item) => Self::unknown_item(&item),
            alike::Error::UnknownUser(user) => Self::unknown_user(&user),
            alike::Error::Data(text) => Self::invalid(text),
            other => Self::internal(other),
        }
    }
}

/// What any route under `/v1` may answer beside what it says itself.
pub(crate) struct ErrorResponses;

impl IntoResponses for ErrorResponses {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let texts = [
            ("400", "The request is malformed"),
            ("401", "The API key is missing or wrong"),
            ("403", "The key is not good for this, or a page of another site asks"),
            ("404", "No such user, item or page; the text names it"),
            ("408", "The body came too slowly"),
            ("409", "Somebody else has changed it meanwhile"),
            ("413", "The body is too large"),
            ("415", "The body is of a kind that is not understood here"),
            ("421", "Sent to a name that is not this server's"),
            ("422", "A value is not allowed; the text says what is"),
            ("429", "Too many requests of this key or address; `Retry-After` says when to come again"),
            ("500", "The server failed"),
            ("503", "Too many requests wait, or the store cannot be reached; try again later"),
        ];
        let one = |(status, text): (&str, &str)| {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
            let response =
                ResponseBuilder::new().description(text).content("application/json", content).build();
            (status.to_string(), RefOr::T(response))
        };
        texts.into_iter().map(one).collect()
    }
}
