#pragma once
// PLUME_SANITIZED is defined in a program that brings its own `operator new` and keeps freed memory for a while.

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PLUME_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PLUME_SANITIZED
#endif
