//! The answer to a request that is over a limit.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::fields::{LimitReport, PolicyName, ResponseFields, Told};
use crate::body::{KeepBody, Problem};
use crate::view::RequestView;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Why a request is refused: the problem types of draft-ietf-httpapi-ratelimit-headers-11 §5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// More was asked than a quota has left: 429. The default.
    #[default]
    QuotaExceeded,
    /// The server can do less than usual for a while: 503.
    ReducedCapacity,
    /// The client behaves unlike one that means well, and is banned for a while: 429.
    AbnormalUsage,
}

impl RefusalReason {
    /// The status of the response, gRPC aside.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::QuotaExceeded | Self::AbnormalUsage => StatusCode::TOO_MANY_REQUESTS,
            Self::ReducedCapacity => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The problem type's URI.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::QuotaExceeded => "https://iana.org/assignments/http-problem-types#quota-exceeded",
            Self::ReducedCapacity => {
                "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
            }
            Self::AbnormalUsage => "https://iana.org/assignments/http-problem-types#abnormal-usage-detected",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::QuotaExceeded => "Request cannot be satisfied as assigned quota has been exceeded",
            Self::ReducedCapacity => {
                "Request cannot be satisfied due to temporary server capacity constraints"
            }
            Self::AbnormalUsage => "Request not satisfied due to detection of abnormal request pattern",
        }
    }

    /// The body of problem details that name the policies that refused.
    pub(super) fn problem<'a>(self, violated: impl Iterator<Item = &'a PolicyName>) -> Bytes {
        let names: Vec<&str> = violated.map(PolicyName::as_str).collect();
        let problem = Problem::new(self.status()).kind(self.uri(), self.title());
        problem.member("violated-policies", names).to_json().into()
    }

    /// `RESOURCE_EXHAUSTED` or `UNAVAILABLE`.
    const fn grpc_status(self) -> &'static str {
        match self {
            Self::QuotaExceeded | Self::AbnormalUsage => "8",
            Self::ReducedCapacity => "14",
        }
    }
}

/// Which kind of client reads the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalForm {
    /// `application/problem+json` with `violated-policies`. The default.
    #[default]
    Problem,
    /// A gRPC status in the headers and no body ("Trailers-Only" of the gRPC protocol over HTTP/2), with HTTP's 200.
    Grpc,
    /// The same for gRPC-Web.
    GrpcWeb,
}

impl RefusalForm {
    /// The form for a request, by its content type: gRPC where that begins with `application/grpc`.
    #[must_use]
    pub fn of(request: &impl RequestView) -> Self {
        if !request.has_header(&CONTENT_TYPE) {
            return Self::Problem;
        }
        request.with_header(CONTENT_TYPE.as_str(), |value| {
            let begins = |prefix: &[u8]| {
                value
                    .and_then(|value| value.get(..prefix.len()))
                    .is_some_and(|v| v.eq_ignore_ascii_case(prefix))
            };
            if begins(b"application/grpc-web") {
                Self::GrpcWeb
            } else if begins(b"application/grpc") {
                Self::Grpc
            } else {
                Self::Problem
            }
        })
    }

    /// An answer that is no refusal by a limit: `about:blank` problem details, or a gRPC status.
    pub(super) fn plain(self, status: StatusCode) -> Response<Bytes> {
        let content_type = match self {
            Self::Problem => return Problem::new(status).into_response::<()>().map(KeepBody::into_own),
            Self::Grpc => "application/grpc",
            Self::GrpcWeb => "application/grpc-web",
        };
        let grpc_status = match status {
            StatusCode::SERVICE_UNAVAILABLE => "14",
            StatusCode::FORBIDDEN => "7",
            _ => "13",
        };
        let mut response = Response::new(Bytes::new());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(GRPC_STATUS, HeaderValue::from_static(grpc_status));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    /// The response: status, body, and the report's fields with `Retry-After`.
    ///
    /// ```
    /// use tower_keep::rate_limit::{LimitReport, RefusalForm, RefusalReason, ResponseFields};
    ///
    /// let (reason, fields) = (RefusalReason::QuotaExceeded, ResponseFields::new());
    /// let report = LimitReport::default();
    /// let response = RefusalForm::Problem.response::<()>(reason, &report, fields);
    /// assert_eq!((response.status(), &response.headers()["content-type"]), (reason.status(), &"application/problem+json".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn response<B>(
        self,
        reason: RefusalReason,
        report: &LimitReport,
        fields: ResponseFields,
    ) -> Response<KeepBody<B>> {
        let mut response = self.refuse(reason, report.told(), None);
        fields.apply(report, response.headers_mut());
        response.map(KeepBody::own)
    }

    /// The same without the fields, and with a problem's body that may be written already.
    pub(super) fn refuse(
        self,
        reason: RefusalReason,
        told: Told<'_>,
        problem: Option<&Bytes>,
    ) -> Response<Bytes> {
        let content_type = match self {
            Self::Problem => {
                let body = problem.cloned().unwrap_or_else(|| reason.problem(told.violated()));
                return answer(reason.status(), "application/problem+json", body);
            }
            Self::Grpc => "application/grpc",
            Self::GrpcWeb => "application/grpc-web",
        };
        let mut response = answer(StatusCode::OK, content_type, Bytes::new());
        let headers = response.headers_mut();
        headers.insert(GRPC_STATUS, HeaderValue::from_static(reason.grpc_status()));
        // Names of policies are printable ASCII, of which the message escapes the per cent sign alone.
        let names: Vec<&str> = told.violated().map(PolicyName::as_str).collect();
        let message = format!("{}: {}", reason.title(), names.join(", ")).replace('%', "%25");
        if let Ok(message) = HeaderValue::try_from(message) {
            headers.insert(GRPC_MESSAGE, message);
        }
        response
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::{PolicyName, PolicyReport, PolicyState, QuotaUnit};
    use http_body::Body as _;
    use http_body_util::{BodyExt as _, Empty};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn report(name: &str) -> LimitReport {
        let policy = |name: &str, state| PolicyReport {
            name: PolicyName::new(name).unwrap(),
            unit: QuotaUnit::Requests,
            quota: 10,
            window_us: Some(1_000_000),
            remaining: 0,
            reset_us: Some(1_500_000),
            state,
            partition: None,
        };
        let policies = vec![policy(name, PolicyState::Violated), policy("daily", PolicyState::Within)];
        LimitReport { policies, retry_after_us: Some(1_500_000) }
    }

    fn answer(form: RefusalForm, reason: RefusalReason, name: &str) -> Response<KeepBody<Empty<Bytes>>> {
        form.response(reason, &report(name), ResponseFields::new())
    }

    #[test]
    fn a_problem_names_the_policies_that_refused() {
        let response = answer(RefusalForm::Problem, RefusalReason::QuotaExceeded, "per \"second\"");
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["retry-after"], "2");
        assert!(response.headers().contains_key("ratelimit"));
        let mut body = pin!(response.into_body().collect());
        let Poll::Ready(Ok(body)) = body.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("a body of ours never waits");
        };
        let json: serde_json::Value = serde_json::from_slice(&body.to_bytes()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
                "title": "Request cannot be satisfied as assigned quota has been exceeded",
                "status": 429,
                "violated-policies": ["per \"second\""],
            })
        );
    }

    #[test]
    fn reduced_capacity_is_a_503_that_says_when_to_come_back() {
        let response = answer(RefusalForm::Problem, RefusalReason::ReducedCapacity, "burst");
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (503, &"2".parse().unwrap())
        );
        let fields = ResponseFields::none();
        let silent = RefusalForm::Problem.response::<()>(
            RefusalReason::ReducedCapacity,
            &LimitReport::default(),
            fields,
        );
        assert_eq!(silent.headers()["retry-after"], "1");
    }

    #[test]
    fn grpc_gets_its_status_in_the_headers_and_no_body() {
        let response = answer(RefusalForm::Grpc, RefusalReason::QuotaExceeded, "10%");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        assert_eq!(response.headers()["grpc-status"], "8");
        assert_eq!(
            response.headers()["grpc-message"],
            "Request cannot be satisfied as assigned quota has been exceeded: 10%25"
        );
        assert_eq!(response.headers()["retry-after"], "2");
        assert!(response.body().is_end_stream());
        let web = answer(RefusalForm::GrpcWeb, RefusalReason::ReducedCapacity, "burst");
        assert_eq!(web.headers()["content-type"], "application/grpc-web");
        assert_eq!(web.headers()["grpc-status"], "14");
    }

    #[test]
    fn an_answer_that_is_no_refusal_by_a_limit_has_the_same_forms() {
        for (status, grpc, retry) in [(503, "14", Some("1")), (403, "7", None), (500, "13", None)] {
            let code = StatusCode::from_u16(status).unwrap();
            let field = |response: &Response<Bytes>, name| {
                response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
            };
            let problem = RefusalForm::Problem.plain(code);
            assert_eq!(
                (problem.status(), &**problem.body()),
                (code, Problem::new(code).to_json().as_bytes())
            );
            assert_eq!(field(&problem, RETRY_AFTER).as_deref(), retry);
            for (form, content_type) in
                [(RefusalForm::Grpc, "application/grpc"), (RefusalForm::GrpcWeb, "application/grpc-web")]
            {
                let response = form.plain(code);
                assert_eq!((response.status(), response.body().len()), (StatusCode::OK, 0));
                assert_eq!(field(&response, CONTENT_TYPE).as_deref(), Some(content_type));
                assert_eq!(field(&response, GRPC_STATUS).as_deref(), Some(grpc));
                assert_eq!(field(&response, RETRY_AFTER).as_deref(), retry);
            }
        }
    }

    #[test]
    fn each_reason_has_a_problem_type_of_its_own() {
        for (reason, status, name) in [
            (RefusalReason::QuotaExceeded, 429, "quota-exceeded"),
            (RefusalReason::ReducedCapacity, 503, "temporary-reduced-capacity"),
            (RefusalReason::AbnormalUsage, 429, "abnormal-usage-detected"),
        ] {
            let uri = format!("https://iana.org/assignments/http-problem-types#{name}");
            assert_eq!((reason.status().as_u16(), reason.uri()), (status, &*uri));
        }
    }

    #[test]
    fn the_content_type_chooses_the_form() {
        for (content_type, form) in [
            (None, RefusalForm::Problem),
            (Some("application/json"), RefusalForm::Problem),
            (Some("text/application/grpc"), RefusalForm::Problem),
            (Some("application/grpc"), RefusalForm::Grpc),
            (Some("application/grpc+proto"), RefusalForm::Grpc),
            (Some("Application/gRPC;x=1"), RefusalForm::Grpc),
            (Some("application/grpc-web+proto"), RefusalForm::GrpcWeb),
            (Some("application/grpc-web-text"), RefusalForm::GrpcWeb),
        ] {
            let mut request = http::Request::new(());
            if let Some(value) = content_type {
                request.headers_mut().insert(CONTENT_TYPE, value.parse().unwrap());
            }
            assert_eq!(RefusalForm::of(&request), form, "{content_type:?}");
        }
    }
}
