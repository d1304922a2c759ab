terraform {
  required_providers {
    fakecloud = { source = "acme/fakecloud", version = "~> 0.1" }
  }
}

resource "terraform_data" "old_name" {
  input = "moved"
}

resource "terraform_data" "old_and_changed" {
  input = "v1"
}

resource "fakecloud_bucket" "forgotten" {
  name = "forgotten"
}

resource "fakecloud_bucket" "removed" {
  name = "removed"
}
