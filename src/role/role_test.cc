// A small role that shows what every role may rely on.
#include <gtest/gtest.h>

#include "role/step.h"
#include "role/table.h"

namespace imprint {
namespace {

struct Question {
  using Answer = int;
  int about = 0;
};
struct Kept {
  int value = 0;
};

class Doorkeeper {
 public:
  struct Knock {
    Exchange from;
    int number = 0;
  };
  struct Idle {};
  struct Asking {
    Exchange from;
    Ticket<int> awaits;
  };
  struct Open {
    SessionRef tls;
  };
  using State = std::variant<Idle, Asking, Open>;
  using Input = std::variant<Knock, Done<int>, Lost>;
  using Turn = TurnOf<Asks<Question>, Records<Kept>, Facts<>>;

  Result<Asking> on(const Idle&, const Knock& k, Turn& t) const {
    CHECK_OR(k.number > 0, Error{Fault::malformed, "knock: number"});
    return Asking{k.from, t.ask(Question{k.number})};
  }
  Result<OneOf<Open, Idle>> on(const Asking& s, const Done<int>& d, Turn& t) const {
    using Next = OneOf<Open, Idle>;
    if (!d.answer) {
      t.reply(s.from, {503});
      return Next(Idle{});
    }
    t.save(Kept{*d.answer});
    t.reply(s.from, {200});
    auto session = std::make_shared<Session>();
    session->id = 7;
    return Next(Open{session});
  }
  Result<Idle> on(const Open&, const Lost&, Turn&) const { return Idle{}; }
};

static_assert(edge<Doorkeeper, Doorkeeper::Idle, Doorkeeper::Knock>);
static_assert(!edge<Doorkeeper, Doorkeeper::Idle, Lost>);
static_assert(!Proof<int>, "a plain value proves nothing");

Result<Doorkeeper::State> feed(const Doorkeeper::State& s, const Doorkeeper::Input& in, Doorkeeper::Turn& t) {
  return step(Doorkeeper{}, s, in, t);
}

TEST(Step, an_input_without_a_transition_is_refused_and_leaves_no_action) {
  SeededRng rng(1);
  Doorkeeper::Turn t({0}, rng, 1);
  const auto next = feed(Doorkeeper::Idle{}, Lost{7}, t);
  EXPECT_EQ(next.error().fault, Fault::unexpected);
  EXPECT_TRUE(t.actions().empty());
}

TEST(Step, an_answer_to_another_question_is_stale) {
  SeededRng rng(1);
  Doorkeeper::Turn t({0}, rng, 1);
  const auto asking = feed(Doorkeeper::Idle{}, Doorkeeper::Knock{{3}, 1}, t);
  ASSERT_TRUE(asking);
  Doorkeeper::Turn late({0}, rng, t.next_ticket());
  EXPECT_EQ(feed(*asking, Done<int>{{99}, 5}, late).error().fault, Fault::stale);
  EXPECT_TRUE(feed(*asking, Done<int>{{1}, 5}, late));
}

TEST(Step, news_of_a_session_that_is_not_ours_is_stale) {
  SeededRng rng(1);
  auto session = std::make_shared<Session>();
  session->id = 7;
  Doorkeeper::Turn t({0}, rng, 1);
  EXPECT_EQ(feed(Doorkeeper::Open{session}, Lost{8}, t).error().fault, Fault::stale);
  EXPECT_TRUE(feed(Doorkeeper::Open{session}, Lost{7}, t));
}

TEST(Turn, keeps_its_actions_in_order) {
  SeededRng rng(1);
  Doorkeeper::Turn t({0}, rng, 5);
  ASSERT_TRUE(feed(Doorkeeper::Asking{{3}, {4}}, Done<int>{{4}, 42}, t));
  const auto actions = t.take_actions();
  ASSERT_EQ(actions.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<Save<Kept>>(actions[0]));
  EXPECT_TRUE(std::holds_alternative<Reply>(actions[1]));
}

TEST(Turn, never_uses_a_ticket_twice) {
  SeededRng rng(1);
  Doorkeeper::Turn t({0}, rng, 5);
  const auto a = t.ask(Question{1});
  const auto b = t.open({}, Trust::anchors, {}, {});
  EXPECT_EQ(a.id, 5U);
  EXPECT_EQ(b.id, 6U);
  EXPECT_EQ(t.next_ticket(), 7U);
}

TEST(Table, is_read_off_the_overloads) {
  const auto rows = transition_table<Doorkeeper>();
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].state, "Idle");
  EXPECT_EQ(rows[0].input, "Knock");
  EXPECT_EQ(rows[0].next, std::vector<std::string>{"Asking"});
  EXPECT_EQ(rows[1].input, "Done<int>");
  EXPECT_EQ(rows[1].next, (std::vector<std::string>{"Open", "Idle"}));
  EXPECT_EQ(state_name<Doorkeeper>(Doorkeeper::Open{}), "Open");
}

}  // namespace
}  // namespace imprint
