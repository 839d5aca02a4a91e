#include "runtime/scratch.hpp"

#include <cstdint>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace mmlfast {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::ptrdiff_t kept = std::ptrdiff_t{4} << 20;

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

void* allocate(std::ptrdiff_t bytes) noexcept {
  void* data = ::operator new(static_cast<std::size_t>(bytes), std::align_val_t{alignment}, std::nothrow);
  prefer_huge_pages(data, bytes);
  return data;
}

void release(void* data) noexcept {
  if (data != nullptr) ::operator delete(data, std::align_val_t{alignment});
}

struct Buffer {
  void* data = nullptr;
  std::ptrdiff_t size = 0;

  void clear() noexcept {
    release(data);
    data = nullptr;
    size = 0;
  }
  ~Buffer() { clear(); }
};

Buffer& mine() noexcept {
  static thread_local Buffer buffer;
  return buffer;
}

}  // namespace

void* Scratch::request(std::ptrdiff_t bytes) noexcept {
  if (bytes < 0) return nullptr;
  Buffer& buffer = mine();
  if (buffer.size < bytes || buffer.data == nullptr) {
    buffer.clear();
    const std::ptrdiff_t size = bytes < 4096 ? 4096 : bytes;
    buffer.data = allocate(size);
    if (buffer.data == nullptr) return nullptr;
    buffer.size = size;
  }
  return buffer.data;
}

void Scratch::trim() noexcept {
  if (mine().size > kept) mine().clear();
}

OwnScratch::OwnScratch(std::ptrdiff_t bytes) noexcept : data_(bytes < 0 ? nullptr : allocate(bytes)) {}

OwnScratch::~OwnScratch() { release(data_); }

}  // namespace mmlfast
