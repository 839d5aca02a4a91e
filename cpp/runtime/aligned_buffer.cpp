#include "runtime/aligned_buffer.hpp"

#include <cstdint>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace mmlfast {
namespace {

constexpr Size alignment = 64;
constexpr Size least_scratch = 4096;

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

detail::ThreadBuffer& buffer_of_thread() noexcept {
  static thread_local detail::ThreadBuffer buffer;
  return buffer;
}

}  // namespace

void* detail::allocate_aligned(std::ptrdiff_t bytes) noexcept {
  if (bytes < 0) return nullptr;
  void* data = ::operator new(static_cast<std::size_t>(bytes), std::align_val_t{static_cast<std::size_t>(alignment)},
                              std::nothrow);
  prefer_huge_pages(data, bytes);
  if (always_new && data != nullptr) std::memset(data, 0xff, static_cast<std::size_t>(bytes));  // NaN
  return data;
}

void detail::release_aligned(void* data) noexcept {
  if (data != nullptr) ::operator delete(data, std::align_val_t{static_cast<std::size_t>(alignment)});
}

void ScratchLease::lend(Size bytes) noexcept {
  if (bytes < 0 || bytes > most_memory) return;
  if (!detail::always_new) {
    detail::ThreadBuffer& buffer = buffer_of_thread();
    const Size whole = std::max<Size>(round_up(bytes, alignment), alignment);
    if (buffer.lent == 0) {
      const Size size = std::max({whole, buffer.wanted, least_scratch});
      if (buffer.memory.size() < size) {
        buffer.memory = {};  // before the new one: both need not fit
        buffer.memory = AlignedBuffer<char>(size);
      }
    }
    if (buffer.memory.size() - buffer.lent >= whole) {
      data_ = buffer.memory.data() + buffer.lent;
      lender_ = &buffer;
      lent_ = whole;
      buffer.lent += whole;
      return;
    }
    buffer.wanted = std::min(std::max(buffer.wanted, buffer.lent + whole), most_kept_scratch);
  }
  own_ = AlignedBuffer<char>(bytes);
  data_ = own_.data();
}

void trim_thread_scratch() noexcept {
  detail::ThreadBuffer& buffer = buffer_of_thread();
  if (buffer.lent == 0 && buffer.memory.size() > most_kept_scratch) buffer.memory = {};
}

}  // namespace mmlfast
