#include "survey/compare.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "store/store_testing.h"
#include "survey/compare_run.h"
#include "survey/page.h"
#include "survey/survey_testing.h"

namespace imprint::survey {
namespace {

// Stored runs of the real client role.
class Compare : public store::StoreTest {
 protected:
  void save(const imprint::Run& run) {
    ASSERT_TRUE(write([&](store::Writer& w) { return w.save_run(run); }));
  }
  std::vector<imprint::Run> latest() { return *latest_runs(*read()); }

  Onboarding onboarding_;
};

Cell cell(const Table& table, std::string_view area, std::string_view name, std::string_view protocol,
          std::string_view mode) {
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    if (table.columns[i].protocol == protocol && table.columns[i].mode == mode) {
      for (const Row& row : table.rows) {
        if (row.area == area && (name.empty() || row.name == name)) {
          return row.cells[i];
        }
      }
    }
  }
  ADD_FAILURE() << "no cell " << area << " " << name << " " << protocol << " " << mode;
  return {};
}

TEST_F(Compare, without_runs_every_cell_names_a_source) {
  const Table table = compare(all_facts(), {});
  ASSERT_EQ(table.columns.size(), 21U);  // eight modes of EST, four of BRSKI, nine other protocols
  for (const Row& row : table.rows) {
    ASSERT_EQ(row.cells.size(), table.columns.size());
    for (const Cell& each : row.cells) {
      EXPECT_TRUE(each.measured.empty());
      for (const Sourced& s : each.said) {
        EXPECT_FALSE(s.source.empty()) << s.text;
      }
    }
  }
  const std::string text = to_text(table);
  EXPECT_NE(text.find("no anchor; RFC 7030 section 4.1.1]"), std::string::npos) << text;
  EXPECT_NE(text.find("No successful run is on record yet"), std::string::npos);
}

TEST_F(Compare, what_was_measured_comes_first) {
  save(onboarding_.bootstrap());
  const Table table = compare(all_facts(), latest());
  const std::string text = to_text(table);
  EXPECT_LT(text.find("Measured: "), text.find("Sources\n"));
  EXPECT_LT(text.find("public-key operations"), text.find("Processes: "));
  const std::string page = to_markdown(table);
  EXPECT_LT(page.find("## Measured"), page.find("## Sources"));
}

TEST_F(Compare, the_five_areas_are_filled_for_every_protocol) {
  const Table table = compare(all_facts(), {});
  for (const Row& row : table.rows) {
    if (row.area == "scales" || row.area == "measured" || row.area == "assumptions" ||
        row.area == "owner's knowledge") {  // which only a run shows
      continue;
    }
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      EXPECT_FALSE(row.cells[i].said.empty()) << row.area << " " << table.columns[i].protocol;
    }
  }
}

TEST_F(Compare, a_run_takes_the_place_of_what_is_said_in_its_own_mode_only) {
  save(onboarding_.bootstrap());
  const Table table = compare(all_facts(), latest());
  const Cell imparted = cell(table, "imparted knowledge", "", "est", "bootstrap");
  EXPECT_TRUE(imparted.said.empty());
  ASSERT_EQ(imparted.measured.size(), 3U);
  EXPECT_EQ(imparted.measured[0], "CN=Owner CA is my owner's CA (confirmed, person)");
  EXPECT_EQ(imparted.measured[2], "I am CN=dev-1 in my owner's domain, says CN=Owner CA (confirmed, check)");
  EXPECT_EQ(cell(table, "initial beliefs", "what the device holds before", "est", "bootstrap").measured,
            std::vector<std::string>{"my owner's server is at localhost:8443 (confirmed, person)"});
  EXPECT_EQ(cell(table, "measured", "connections", "est", "bootstrap").measured, std::vector<std::string>{"2"});
  EXPECT_EQ(cell(table, "measured", "round trips", "est", "bootstrap").measured, std::vector<std::string>{"4"});
  EXPECT_EQ(cell(table, "measured", "persons' acts", "est", "bootstrap").measured, std::vector<std::string>{"1"});
  EXPECT_EQ(cell(table, "measured", "weakest of them", "est", "bootstrap").measured,
            std::vector<std::string>{"confirmed"});
  EXPECT_FALSE(cell(table, "imparted knowledge", "", "est", "certificate").said.empty());
  EXPECT_TRUE(cell(table, "measured", "connections", "est", "certificate").measured.empty());
}

TEST_F(Compare, processes_of_a_run_are_its_own_states_in_their_order) {
  save(onboarding_.certificate());
  const Cell steps = cell(compare(all_facts(), latest()), "processes", "", "est", "certificate");
  ASSERT_EQ(steps.measured.size(), 7U);
  EXPECT_EQ(steps.measured.front(), "server authenticated by an anchor, or by the secret of both (TLS-SRP) (Opening)");
  EXPECT_EQ(steps.measured.back(), "certificate checked and installed (Enrolled)");
}

TEST_F(Compare, a_state_that_is_entered_again_and_again_is_named_once) {
  imprint::Run run = onboarding_.certificate();
  const auto wishing = std::ranges::find(run.steps, "Wishing", &RunStep::state);
  ASSERT_NE(wishing, run.steps.end());
  run.steps.insert(wishing, 3, *wishing);
  save(run);
  const Cell steps = cell(compare(all_facts(), latest()), "processes", "", "est", "certificate");
  EXPECT_EQ(steps.measured.size(), 7U);
  EXPECT_EQ(std::ranges::count(steps.measured, "wanted attributes (Wishing)"), 1);
}

TEST_F(Compare, a_run_backs_the_column_that_its_mode_begins_with) {
  const std::vector<std::pair<std::string, std::string>> kModes{
      {"srp", "srp"}, {"server key, srp", "server key"}, {"fullcmc, renewal", "fullcmc"}, {"renewal", "renewal"}};
  for (const auto& [mode, column] : kModes) {
    imprint::Run run = onboarding_.certificate();
    run.mode = mode;
    save(run);
    const Table table = compare(all_facts(), latest());
    const auto at = std::ranges::find(table.columns, run.id, &Column::run);
    ASSERT_NE(at, table.columns.end()) << mode;
    EXPECT_EQ(at->mode, column);
  }
  for (const Column& column : compare(all_facts(), latest()).columns) {
    const bool backed = std::ranges::any_of(kModes, [&](const auto& m) { return m.second == column.mode; });
    EXPECT_EQ(!column.run.empty(), backed) << column.protocol << " " << column.mode;
  }
}

TEST_F(Compare, of_two_runs_with_a_servers_key_the_devices_own_story_counts) {
  imprint::Run told = onboarding_.certificate();
  told.mode = "server key, secret";
  save(told);
  imprint::Run seen = onboarding_.certificate();
  seen.mode = "server key, certificate";
  seen.role = "server";
  seen.started = told.started + Duration(1000);
  save(seen);
  ASSERT_EQ(latest().size(), 1U);
  EXPECT_EQ(latest()[0].id, told.id);
}

TEST_F(Compare, every_scale_that_somebody_has_a_value_on_is_a_row) {
  const Table table = compare(all_facts(), {});
  for (const ProtocolFacts& protocol : all_facts().protocols) {
    for (const DimensionFacts& value : protocol.dimensions) {
      EXPECT_TRUE(std::ranges::any_of(table.rows,
                                      [&](const Row& row) { return row.area == "scales" && row.name == value.name; }))
          << protocol.name << ": " << value.name;
    }
  }
  for (const Column& column : table.columns) {
    if (column.protocol == "est") {
      const Cell locality = cell(table, "scales", "locality", "est", column.mode);
      ASSERT_EQ(locality.said.size(), 1U) << column.mode;
      EXPECT_EQ(locality.said[0].text, "remote");
    }
  }
}

TEST_F(Compare, the_latest_success_counts_and_the_device_tells_before_the_server) {
  imprint::Run old = onboarding_.certificate();
  old.id = "0000000000000001";
  imprint::Run server = onboarding_.certificate();
  server.id = "0000000000000002";
  server.role = "server";
  server.started = old.started + Duration(1000);
  imprint::Run failed = onboarding_.certificate();
  failed.id = "0000000000000003";
  failed.result = "failed";
  failed.started = old.started + Duration(2000);
  for (const imprint::Run& run : {old, server, failed}) {
    save(run);
  }
  ASSERT_EQ(latest().size(), 1U);
  EXPECT_EQ(latest()[0].id, old.id);
  EXPECT_FALSE(latest()[0].beliefs.empty());

  imprint::Run later = onboarding_.certificate();
  later.id = "0000000000000004";
  later.started = old.started + Duration(3000);
  save(later);
  EXPECT_EQ(latest()[0].id, later.id);
}

TEST_F(Compare, what_a_server_does_not_measure_is_not_printed_as_nothing) {
  imprint::Run run = onboarding_.certificate();
  run.role = "server";
  run.counts.connections = run.counts.public_key_operations = run.counts.persons_acts = 0;
  save(run);
  const Table table = compare(all_facts(), latest());
  const std::vector<std::string> unknown{"not measured"};
  for (const char* what : {"connections", "bytes", "public-key operations", "persons' acts", "initial beliefs",
                           "imparted beliefs", "weakest of them"}) {
    EXPECT_EQ(cell(table, "measured", what, "est", "certificate").measured, unknown) << what;
  }
  EXPECT_EQ(cell(table, "measured", "messages", "est", "certificate").measured,
            std::vector<std::string>{"at least " + std::to_string(run.counts.messages)});
  EXPECT_TRUE(cell(table, "imparted knowledge", "", "est", "certificate").measured.empty());
  EXPECT_FALSE(cell(table, "imparted knowledge", "", "est", "certificate").said.empty());
  EXPECT_FALSE(cell(table, "initial beliefs", "what the device holds before", "est", "certificate").said.empty());
  EXPECT_EQ(to_text(report_on(run)).find("0 connections"), std::string::npos);
}

TEST_F(Compare, a_pledge_tells_before_its_registrar) {
  imprint::Run pledge = onboarding_.certificate();
  pledge.protocol = "brski";
  pledge.mode = "nonceless, https";
  pledge.role = "pledge";
  std::vector<imprint::Run> registrar(3, pledge);
  const std::array<std::string, 3> kAsked{"nonceless, voucher", "voucher status", "enrolment status"};
  for (std::size_t i = 0; i < 3; ++i) {
    registrar[i].id = "000000000000000" + std::to_string(i + 7);
    registrar[i].role = "registrar";
    registrar[i].mode = kAsked[i];
    registrar[i].obtained = {"certificate 12, by which it reports"};
    registrar[i].result = i == 2 ? "operational" : "vouchered";
    registrar[i].started = pledge.started + Duration(1000) * static_cast<int>(i + 1);
    save(registrar[i]);
  }
  EXPECT_EQ(cell(compare(all_facts(), latest()), "measured", "bytes", "brski", "nonceless").measured,
            std::vector<std::string>{"not measured"});
  EXPECT_FALSE(cell(compare(all_facts(), latest()), "imparted knowledge", "", "brski", "nonceless").said.empty());
  save(pledge);
  ASSERT_EQ(latest().size(), 1U);
  EXPECT_EQ(latest()[0].id, pledge.id);
  EXPECT_FALSE(cell(compare(all_facts(), latest()), "imparted knowledge", "", "brski", "nonceless").measured.empty());
}

TEST_F(Compare, a_value_of_one_mode_takes_the_place_of_what_holds_for_all) {
  const Table table = compare(all_facts(), {});
  const Cell https = cell(table, "scales", "maker needed online", "brski", "https");
  const Cell nonceless = cell(table, "scales", "maker needed online", "brski", "nonceless");
  ASSERT_EQ(https.said.size(), 1U);
  ASSERT_EQ(nonceless.said.size(), 1U);
  EXPECT_TRUE(https.said[0].text.starts_with("yes"));
  EXPECT_TRUE(nonceless.said[0].text.starts_with("not"));
}

TEST_F(Compare, a_belief_whose_evidence_does_not_hold_is_not_given_a_strength) {
  imprint::Run run = onboarding_.certificate();
  std::erase_if(run.beliefs, [](const BeliefChange& b) { return b.belief.id.starts_with("anchor:"); });
  save(run);
  const Cell imparted = cell(compare(all_facts(), latest()), "imparted knowledge", "", "est", "certificate");
  ASSERT_EQ(imparted.measured.size(), 2U);
  EXPECT_NE(imparted.measured[0].find("(its evidence does not hold, check)"), std::string::npos)
      << imparted.measured[0];
}

TEST_F(Compare, text_fits_120_columns) {
  save(onboarding_.bootstrap());
  save(onboarding_.certificate());
  const std::string text = to_text(compare(all_facts(), latest()));
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    EXPECT_LE(columns_of(std::string_view(text).substr(at, end - at)), kColumns) << text.substr(at, end - at);
    at = end + 1;
  }
}

TEST_F(Compare, markdown_tables_have_as_many_cells_as_their_header) {
  save(onboarding_.bootstrap());
  const std::string text = to_markdown(compare(all_facts(), latest()));
  std::size_t expected = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    const std::string_view line = std::string_view(text).substr(at, end - at);
    if (line.starts_with("|")) {
      std::size_t bars = 0;
      for (std::size_t i = 0; i < line.size(); ++i) {
        bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\') ? 1U : 0U;
      }
      expected = expected == 0 ? bars : expected;
      EXPECT_EQ(bars, expected) << line;
    } else {
      expected = 0;
    }
    at = end + 1;
  }
}

TEST_F(Compare, json_says_which_run_backs_a_column) {
  const imprint::Run run = onboarding_.bootstrap();
  save(run);
  const Json json = to_json(compare(all_facts(), latest()));
  for (const Json& column : json.at("columns")) {
    const bool mine = column.at("mode") == "bootstrap";
    EXPECT_EQ(column.at("run").is_null(), !mine);
    if (mine) {
      EXPECT_EQ(column.at("run").at("id"), run.id);
    }
  }
}

TEST(Page, long_words_are_cut_and_leads_that_are_too_long_stand_alone) {
  EXPECT_EQ(wrap("aa bbb cccccccc", 5), (std::vector<std::string>{"aa", "bbb", "ccccc", "ccc"}));
  EXPECT_EQ(hanging("lead", "text", 8), "lead    text\n");
  EXPECT_EQ(hanging("", "text", 0), "text\n");
  EXPECT_EQ(hanging("longer lead", "text", 8), "longer lead\n        text\n");
  EXPECT_EQ(columns_of("\xc3\xa9t\xc3\xa9"), 3U);
}

}  // namespace
}  // namespace imprint::survey
