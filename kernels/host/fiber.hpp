#pragma once
// A fibre: a call stack of its own that runs until it hands control to another fibre.
//
// Each CUDA thread of a block is one fibre, so `return` in the middle of a kernel, loops around a
// barrier and calls into device functions need no source transformation. A switch stores the
// registers that a C++ call must preserve and swaps the stack pointer: about ten instructions. It
// is written for x86-64 and aarch64 with ELF; elsewhere, or with PLUME_SIMT_UCONTEXT defined,
// <ucontext.h> does it, some fifteen times slower.

#if defined(__ELF__) && (defined(__x86_64__) || defined(__aarch64__)) && \
    !defined(PLUME_SIMT_UCONTEXT)
#define PLUME_SIMT_ASM_SWITCH 1
#else
#define PLUME_SIMT_ASM_SWITCH 0
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#define PLUME_SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PLUME_SIMT_ASAN 1
#endif
#endif
#ifndef PLUME_SIMT_ASAN
#define PLUME_SIMT_ASAN 0
#endif

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <new>

#if PLUME_SIMT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if PLUME_SIMT_ASM_SWITCH
// void plume_simt_switch(void** save_stack_pointer, void* new_stack_pointer)
extern "C" void plume_simt_switch(void** save, void* to);

// One copy per program, however many translation units include this: a COMDAT section.
#if defined(__x86_64__)
__asm__(R"(
  .pushsection .text.plume_simt_switch,"axG",@progbits,plume_simt_switch,comdat
  .weak plume_simt_switch
  .type plume_simt_switch,@function
plume_simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size plume_simt_switch,.-plume_simt_switch
  .popsection
)");
#else
__asm__(R"(
  .pushsection .text.plume_simt_switch,"axG",@progbits,plume_simt_switch,comdat
  .weak plume_simt_switch
  .type plume_simt_switch,@function
plume_simt_switch:
  sub sp, sp, #160
  stp x19, x20, [sp]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
  .size plume_simt_switch,.-plume_simt_switch
  .popsection
)");
#endif
#endif

namespace plume::simt::detail {

/// Where one flow of control stopped. The launching thread has one, and so has each fibre.
struct Context {
#if PLUME_SIMT_ASM_SWITCH
  void* stack_pointer = nullptr;
#else
  ucontext_t registers{};
#endif
  void* stack_bottom = nullptr;  // for AddressSanitizer, which wants to know every stack
  std::size_t stack_bytes = 0;
  void* fake_stack = nullptr;
};

/// Continues `to`; returns when somebody continues `from`.
inline void switch_context(Context& from, Context& to) {
#if PLUME_SIMT_ASAN
  __sanitizer_start_switch_fiber(&from.fake_stack, to.stack_bottom, to.stack_bytes);
#endif
#if PLUME_SIMT_ASM_SWITCH
  plume_simt_switch(&from.stack_pointer, to.stack_pointer);
#else
  swapcontext(&from.registers, &to.registers);
#endif
#if PLUME_SIMT_ASAN
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

/// A mapped stack with an unmapped page below it: overflowing it faults instead of corrupting.
class Stack {
 public:
  static constexpr std::size_t bytes = PLUME_SIMT_ASAN ? 256 * 1024 : 64 * 1024;

  Stack() {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    mapped_ = bytes + page;
    void* p = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<char*>(p);
    mprotect(base_, page, PROT_NONE);
    bottom_ = base_ + page;
  }
  ~Stack() { munmap(base_, mapped_); }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  [[nodiscard]] char* bottom() const noexcept { return bottom_; }

 private:
  char* base_ = nullptr;
  char* bottom_ = nullptr;
  std::size_t mapped_ = 0;
};

/// Makes `context` start in `entry`, which must never return, on `stack`. May be called again for a
/// fibre that was abandoned half-way: its frames are dropped without unwinding.
inline void prepare(Context& context, const Stack& stack, void (*entry)()) {
  context.stack_bottom = stack.bottom();
  context.stack_bytes = Stack::bytes;
  context.fake_stack = nullptr;
#if PLUME_SIMT_ASAN
  __asan_unpoison_memory_region(stack.bottom(), Stack::bytes);
#endif
#if PLUME_SIMT_ASM_SWITCH
  auto* top = reinterpret_cast<std::uintptr_t*>(stack.bottom() + Stack::bytes);
#if defined(__x86_64__)
  // Six registers and the return address; at entry the stack pointer is 8 below a multiple of 16.
  std::uintptr_t* frame = top - 8;
  for (int i = 0; i < 8; ++i) frame[i] = 0;
  frame[6] = reinterpret_cast<std::uintptr_t>(entry);
#else
  std::uintptr_t* frame = top - 20;
  for (int i = 0; i < 20; ++i) frame[i] = 0;
  frame[11] = reinterpret_cast<std::uintptr_t>(entry);
#endif
  context.stack_pointer = frame;
#else
  getcontext(&context.registers);
  context.registers.uc_stack.ss_sp = stack.bottom();
  context.registers.uc_stack.ss_size = Stack::bytes;
  context.registers.uc_link = nullptr;
  makecontext(&context.registers, entry, 0);
#endif
}

/// First thing to call in an entry function.
inline void entered_fiber(Context* launcher) {
#if PLUME_SIMT_ASAN
  const void* bottom = nullptr;
  std::size_t size = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
  if (launcher->stack_bottom == nullptr) {
    launcher->stack_bottom = const_cast<void*>(bottom);
    launcher->stack_bytes = size;
  }
#else
  (void)launcher;
#endif
}

}  // namespace plume::simt::detail
