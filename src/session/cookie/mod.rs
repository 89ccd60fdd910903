//! Cookies, read and written byte by byte.

mod read;
mod write;

pub use read::cookie_values;
pub use write::{CookieError, SameSite, SessionCookie, SessionCookieBuilder};
