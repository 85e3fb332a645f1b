//! What is answered when a request cannot be served, and how requests are read so that nothing else is.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, HeaderName, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::{RefOr, ResponseBuilder, content::ContentBuilder, schema::Ref};
use utoipa::{IntoResponses, ToSchema};

use super::arriving::TooSlow;
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
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// What the client is told in a header.
    header: Option<(HeaderName, String)>,
}

/// Result of a route.
pub(crate) type Answer<T> = Result<T, Refusal>;

impl Refusal {
    /// With this status, code and text.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), header: None }
    }

    /// The same with a header.
    pub(crate) fn with(self, name: HeaderName, value: impl Into<String>) -> Self {
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

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, code, message, header } = self;
        let body = Json(ErrorBody { error: ErrorDetail { code, message } });
        (status, header.map(|header| [header]), body).into_response()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let unavailable = |code, text: &str| Self::new(StatusCode::SERVICE_UNAVAILABLE, code, text);
        if !matches!(error, StoreError::Busy) {
            tracing::error!(cause = %error, "the store failed");
        }
        match error {
            StoreError::Busy => Self::busy(),
            StoreError::Failed(_) => {
                unavailable("store", "the store of events cannot be reached; nothing was written")
            }
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
impl From<alike::Error> for Refusal {
    fn from(error: alike::Error) -> Self {
        match error {
            alike::Error::UnknownItem(item) => Self::unknown_item(&item),
            alike::Error::UnknownUser(user) => Self::unknown_user(&user),
            alike::Error::Data(text) => Self::invalid(text),
            other => Self::internal(other),
        }
    }
}

/// `value`, if it lies within `from..=to`.
pub(crate) fn within<T: PartialOrd + std::fmt::Display>(name: &str, value: T, from: T, to: T) -> Answer<T> {
    if value >= from && value <= to {
        return Ok(value);
    }
    Err(Refusal::invalid(format!("`{name}` is {value}; allowed: {from}..={to}")))
}

/// The most characters of an id.
const ID_LENGTH: usize = 256;

/// An id, if it can be one: not empty, not long, no control characters (which no store takes).
pub(crate) fn id<'a>(name: &str, text: &'a str) -> Answer<&'a str> {
    let length = text.chars().count();
    if length == 0 || length > ID_LENGTH || text.contains(char::is_control) {
        let found = format!("`{name}` has {length} characters or holds control characters");
        return Err(Refusal::invalid(format!("{found}; allowed: 1..={ID_LENGTH} printable characters")));
    }
    Ok(text)
}

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        json_type(request.headers())?;
        let bytes = bytes(request, state).await?;
        let Json(body) =
            Json::from_bytes(&bytes).map_err(|r| Refusal::rejected(r.status(), r.body_text()))?;
        // Lists of values would be taken for objects without names.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(Refusal::invalid("the body is not an object; allowed: {…}"));
        }
        Ok(Self(body))
    }
}

/// Whether a request says that it brings JSON.
pub(crate) fn json_type(headers: &HeaderMap) -> Answer<()> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    let text = format!("the body is `{kind}`; allowed: application/json");
    Err(Refusal::rejected(StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
}

/// The bytes of a body.
pub(crate) async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Answer<Bytes> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&rejection);
        while let Some(error) = cause {
            if error.is::<TooSlow>() {
                return Refusal::new(StatusCode::REQUEST_TIMEOUT, "timeout", error.to_string());
            }
            cause = error.source();
        }
        Refusal::rejected(rejection.status(), rejection.body_text())
    })
}

/// A whole number, also one that is written as `5.0` or `5e0`: JSON tells these not from `5`.
pub(crate) fn whole<'de, D: Deserializer<'de>, T: TryFrom<i64>>(from: D) -> Result<T, D::Error> {
    let found = serde_json::Number::deserialize(from)?;
    // Beyond this not every whole number is one of floating point.
    let exact = |n: &f64| n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0;
    let number = found.as_i64().or_else(|| found.as_f64().filter(exact).map(|n| n as i64));
    let fits = number.and_then(|n| T::try_from(n).ok());
    fits.ok_or_else(|| {
        D::Error::custom(format!("{found} is not allowed here; allowed: whole numbers in their range"))
    })
}

/// The same where it may be missing or null.
pub(crate) fn whole_or_none<'de, D: Deserializer<'de>, T: TryFrom<i64>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(bound = "T: TryFrom<i64>")]
    struct Whole<T>(#[serde(deserialize_with = "whole")] T);
    Ok(Option::<Whole<T>>::deserialize(from)?.map(|w| w.0))
}

/// The part of the address after `?`.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Refusal::invalid(rejection.body_text())),
        }
    }
}

/// The parts of the path that vary, percent-decoded.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(parts)) => Ok(Self(parts)),
            Err(rejection) => Err(Refusal::rejected(rejection.status(), rejection.body_text())),
        }
    }
}

/// What any route under `/v1` may answer besides what it says itself.
pub(crate) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let texts = [
            ("400", "The request is malformed"),
            ("401", "The API key is missing or wrong"),
            ("403", "The key is not good for this, or a page of another site asks"),
            ("404", "No such user, item or page; the text names it"),
            ("408", "The body came too slowly"),
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
