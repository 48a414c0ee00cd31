// Threads for work that would keep a loop from its other callers: as many as there are cores, and one queue.
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace imprint {

class WorkPool {
 public:
  // Where work is left, from any thread; the pieces are begun in the order in which they came. Once the pool has ended
  // what comes is dropped, on the caller's thread. Whoever posts outlives the pool without harm: it has the queue.
  class Queue {
   public:
    virtual ~Queue() = default;
    virtual void post(std::function<void()> work) = 0;
  };

  explicit WorkPool(unsigned threads);  // at least one
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;
  // What is under way is finished, what waits is dropped. Not on one of its own threads.
  ~WorkPool();

  std::shared_ptr<Queue> queue() const;
  std::size_t threads() const { return threads_.size(); }

  // As many as the machine has cores for us, 16 at most.
  static unsigned cores();

 private:
  struct Waiting;
  std::shared_ptr<Waiting> waiting_;
  std::vector<std::thread> threads_;
};

}  // namespace imprint
