#include "runtime/aligned_buffer.hpp"

#include <cstdint>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace mmlfast {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::ptrdiff_t least_scratch = 4096;

// Asks for huge pages where they are a matter of asking, as NumPy does for its arrays: the faults and the page table of
// small ones cost a large matrix several per cent.
void prefer_huge_pages([[maybe_unused]] void* data, [[maybe_unused]] std::ptrdiff_t bytes) noexcept {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t page = 4096;
  if (data == nullptr || bytes < std::ptrdiff_t{4} << 20) return;
  const std::uintptr_t start = (reinterpret_cast<std::uintptr_t>(data) + page - 1) / page * page;
  const std::uintptr_t end =
      (reinterpret_cast<std::uintptr_t>(data) + static_cast<std::uintptr_t>(bytes)) / page * page;
  madvise(reinterpret_cast<void*>(start), end - start, MADV_HUGEPAGE);
#endif
}

AlignedBuffer<char>& scratch_of_thread() noexcept {
  static thread_local AlignedBuffer<char> buffer;
  return buffer;
}

}  // namespace

void* detail::allocate_aligned(std::ptrdiff_t bytes) noexcept {
  if (bytes < 0) return nullptr;
  void* data = ::operator new(static_cast<std::size_t>(bytes), std::align_val_t{alignment}, std::nothrow);
  prefer_huge_pages(data, bytes);
  return data;
}

void detail::release_aligned(void* data) noexcept {
  if (data != nullptr) ::operator delete(data, std::align_val_t{alignment});
}

void* thread_scratch(std::ptrdiff_t bytes) noexcept {
  if (bytes < 0) return nullptr;
  AlignedBuffer<char>& buffer = scratch_of_thread();
  if (buffer.size() < bytes || !buffer) {
    {
      const AlignedBuffer<char> old = std::move(buffer);
    }  // before the new one: both need not fit
    buffer = AlignedBuffer<char>(std::max(bytes, least_scratch));
  }
  return buffer.data();
}

void trim_thread_scratch() noexcept {
  AlignedBuffer<char>& buffer = scratch_of_thread();
  if (buffer.size() > most_kept_scratch) const AlignedBuffer<char> old = std::move(buffer);
}

}  // namespace mmlfast
