//! How requests are read, so that nothing is served but what the routes expect.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, StatusCode, header, request::Parts};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use super::arriving::TooSlow;
use super::error::{ApiError, ApiResult};

/// `value`, if it lies within `from..=to`.
pub(crate) fn within<T: PartialOrd + std::fmt::Display>(
    name: &str,
    value: T,
    from: T,
    to: T,
) -> ApiResult<T> {
    if value >= from && value <= to {
        return Ok(value);
    }
    Err(ApiError::invalid(format!("`{name}` is {value}; allowed: {from}..={to}")))
}

/// The most characters of an id.
const ID_LENGTH: usize = 256;

/// An id, if it can be one: not empty, not long, no control characters (which no store takes).
pub(crate) fn id<'a>(name: &str, text: &'a str) -> ApiResult<&'a str> {
    let length = text.chars().count();
    if length == 0 || length > ID_LENGTH || text.contains(char::is_control) {
        let found = format!("`{name}` has {length} characters or holds control characters");
        return Err(ApiError::invalid(format!("{found}; allowed: 1..={ID_LENGTH} printable characters")));
    }
    Ok(text)
}

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> ApiResult<Self> {
        json_type(request.headers())?;
        let bytes = bytes(request, state).await?;
        let Json(body) =
            Json::from_bytes(&bytes).map_err(|r| ApiError::rejected(r.status(), r.body_text()))?;
        // Lists of values would be taken for objects without names.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(ApiError::invalid("the body is not an object; allowed: {…}"));
        }
        Ok(Self(body))
    }
}

/// Whether a request says that it brings JSON.
pub(crate) fn json_type(headers: &HeaderMap) -> ApiResult<()> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    let text = format!("the body is `{kind}`; allowed: application/json");
    Err(ApiError::rejected(StatusCode::UNSUPPORTED_MEDIA_TYPE, text))
}

/// The bytes of a body.
pub(crate) async fn bytes<S: Send + Sync>(request: Request, state: &S) -> ApiResult<Bytes> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&rejection);
        while let Some(error) = cause {
            if error.is::<TooSlow>() {
                return ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout", error.to_string());
            }
            cause = error.source();
        }
        ApiError::rejected(rejection.status(), rejection.body_text())
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
    struct WholeNumber<T>(#[serde(deserialize_with = "whole")] T);
    Ok(Option::<WholeNumber<T>>::deserialize(from)?.map(|w| w.0))
}

/// The part of the address after `?`.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(ApiError::invalid(rejection.body_text())),
        }
    }
}

/// The parts of the path that vary, percent-decoded.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(parts)) => Ok(Self(parts)),
            Err(rejection) => Err(ApiError::rejected(rejection.status(), rejection.body_text())),
        }
    }
}
